// The stages of a call: plain, rehearsed in memory of its own, recorded, repeated.
#include "core/replay.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>

#include "core/arena.h"
#include "core/kernels/copy.h"
#include "core/kernels/replay.h"
#include "core/profile.h"

namespace costate {
namespace {

/// As the caller's, with results that are not strips: else who copies them out would have their dense copies made once, and not each time.
Replay::RoundTrip made_by(const Replay::Maker& make) {
  const auto dense = [](const Replay::Function& f) -> Replay::Function {
    if (!f) return f;
    return [f](const Tensors& in) {
      Tensors out = f(in);
      for (Tensor& t : out) t = t.dense();
      return out;
    };
  };
  const Replay::RoundTrip trip = make();
  return {dense(trip.there), dense(trip.back)};
}

/// Beyond it, the work is long enough for the host to keep ahead of it.
constexpr std::int64_t most_bytes = std::int64_t{1} << 30;
constexpr std::size_t most_courses = 8;  // further shapes are called plainly

Device device_of(const Tensors& in) {
  const auto t = std::find_if(in.begin(), in.end(), [](const Tensor& x) { return x.defined(); });
  return t == in.end() ? Device::cpu : t->device();
}

Tensors copies(const Tensors& all) {
  Tensors out;
  for (const Tensor& t : all) out.push_back(t.defined() ? copy_of(t) : t);
  return out;
}

void copy_all(const Tensors& from, Tensors& to) {
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i].defined()) copy_into(from[i], to[i]);
}

/// Of the same shapes, with nothing in it.
Tensors room_for(const Tensors& all) {
  Tensors out;
  for (const Tensor& t : all) out.push_back(t.defined() ? Tensor::empty(t.shape(), t.kind()) : t);
  return out;
}

bool share_memory(const Tensors& a, const Tensors& b) {
  for (const Tensor& x : a)
    for (const Tensor& y : b)
      if (x.defined() && y.defined() && &x.storage() == &y.storage()) return true;
  return false;
}

/// Dtypes and shapes.
std::string kinds_of(const Tensors& all) {
  std::string key;
  for (const Tensor& t : all) key += t.defined() ? fmt::format("{} {};", name_of(t.dtype()), t.shape()) : ";";
  return key;
}

/// This thread is inside a call that is being rehearsed, recorded or spelt out: what it calls belongs to that.
thread_local bool inside_another = false;

struct Inside {
  Inside() { inside_another = true; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { inside_another = false; }
};

/// What is sent from the host, by its name.
class Sent {
 public:
  void note(const std::string& name, const std::string& all) {
    if (known_.size() >= most) known_.clear();
    known_[name] = all;
  }
  /// Null if nothing of this length is known.
  [[nodiscard]] const std::string* find(const std::string& name, std::size_t bytes) const {
    const auto found = known_.find(name);
    return found == known_.end() || found->second.size() != bytes ? nullptr : &found->second;
  }

 private:
  static constexpr std::size_t most = 4096;
  std::map<std::string, std::string> known_;
};

/// Of inputs of one shape and one way back.
struct Course {
  enum class Stage { fresh, seen, rehearsed, recorded, plain } stage = Stage::fresh;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<Recorder> there, back;        // go before what they refer to
  std::size_t bytes_there = 0, bytes_back = 0;  // sent
  std::shared_ptr<Sent> sent_there;             // shared by all courses of inputs of this shape: f is the same
  Sent sent_back;
  Tensors in, out, g, pulled;

  /// The work, whose blocks are to be the arena's: all of them in the same order when it is rehearsed and when it is recorded.
  template <class F>
  [[nodiscard]] auto inside_arena(const F& work) const {
    return [this, work] {
      const Arena::Use use(*arena);
      work();
    };
  }

  bool give_up() {
    stage = Stage::plain;
    there.reset();
    back.reset();
    for (Tensors* all : {&in, &out, &g, &pulled}) all->clear();
    arena.reset();
    return false;
  }

  /// Out of the memory in which it was recorded, if it was: it is to be recorded anew.
  void leave() {
    if (stage != Stage::recorded) return;
    stage = Stage::rehearsed;
    for (Tensors* all : {&out, &g, &pulled}) all->clear();
    arena->lie_in(nullptr);
  }

  /// The second call, in the arena; what it returns goes to `result`. False where it is to be made again, plainly.
  bool rehearse(const Replay::Maker& make, const Tensors& now, Tensors& result) try {
    make_recorder_kernel.always(device_of(now), there);
    make_recorder_kernel.always(device_of(now), back);
    if (there == nullptr) return give_up();
    arena = std::make_unique<Arena>(device_of(now), most_bytes);
    in = copies(now);
    bool fits = false;
    {
      const Inside inside;
      const Replay::RoundTrip trip = made_by(make);
      fits = there->rehearse(inside_arena([&] { out = trip.there(in); }));
      if (fits && trip.back) {
        inside_arena([&] { g = copies(out); })();  // any cotangent will do
        fits = back->rehearse(inside_arena([&] { pulled = trip.back(g); }));
      }
    }
    result = copies(out);
    fits = fits && !share_memory(in, out) && !share_memory(in, pulled) && !share_memory(g, pulled);
    for (Tensors* all : {&out, &g, &pulled}) all->clear();
    stage = Stage::rehearsed;
    if (!fits) return give_up(), true;
    arena->settle();
    return true;
  } catch (const Error&) {  // for want of memory, say
    return give_up();
  }

  bool record(const Replay::Maker& make, const std::string& numbers) {
    const Inside inside;
    const Replay::RoundTrip trip = made_by(make);
    stage = Stage::recorded;
    if (!there->record(inside_arena([&] { out = trip.there(in); }))) return give_up();
    bytes_there = there->sent().size();
    const std::string* const known = sent_there->find(numbers, bytes_there);
    if (known != nullptr && *known != there->sent())
      sent_there = std::make_shared<Sent>();  // not what other courses send
    sent_there->note(numbers, there->sent());
    if (!trip.back) return true;
    inside_arena([&] { g = room_for(out); })();
    if (!back->record(inside_arena([&] { pulled = trip.back(g); }))) return give_up();
    bytes_back = back->sent().size();
    sent_back.note(numbers, back->sent());
    return true;
  }

  /// What is sent on the way back. Where that is nothing, the way back is the same for all numbers of which the way there is.
  [[nodiscard]] const std::string* sent_back_for(const std::string& numbers) const {
    static const std::string nothing;
    return bytes_back == 0 ? &nothing : sent_back.find(numbers, bytes_back);
  }

  /// Notes what is sent with numbers that are new. False, and the course is given up, where the work goes another way with them.
  bool spell_out(const Replay::Maker& make, const std::string& numbers, bool way_back) {
    const Inside inside;
    const Replay::RoundTrip trip = made_by(make);
    const Arena::Use use(*arena, Arena::Touch::no);
    if (!there->spell_out([&] { static_cast<void>(trip.there(in)); })) return give_up();
    sent_there->note(numbers, there->sent());
    if (!way_back) return true;
    if (!back->spell_out([&] { static_cast<void>(trip.back(g)); })) return give_up();
    sent_back.note(numbers, back->sent());
    return true;
  }
};

}  // namespace

/// One caller at a time; the next is told so and does not wait, be it the same thread.
class Turn {
 public:
  explicit Turn(std::atomic_flag& taken) : taken_(taken), mine_(!taken.test_and_set()) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (mine_) taken_.clear();
  }
  explicit operator bool() const { return mine_; }

 private:
  std::atomic_flag& taken_;
  bool mine_;
};

struct Replay::State {
  std::atomic_flag busy;
  std::map<std::string, std::shared_ptr<Sent>> sent;       // by kinds of inputs
  std::map<std::string, std::unique_ptr<Course>> courses;  // and by ways
  std::weak_ptr<const Block> room;                         // in which all that are recorded lie, one upon the other
  std::int64_t trips = 0, in_room = 0;                     // so far; whose values the room holds
  std::int64_t repeated = 0;
  std::optional<Keeper> keeper;  // of the room: the last member, and so the first that goes

  /// Not on the host, nor inside other work, nor where every op is to be seen.
  static bool may_repeat(const Tensors& in) {
    return device_of(in) != Device::cpu && !inside_another && !DryRun::active() && !profiling();
  }

  /// Null where the work is to be made plainly, or comes in one shape too many.
  Course* course_of(const Tensors& in, const std::string& way) {
    if (!may_repeat(in)) return nullptr;
    const std::string kinds = kinds_of(in), key = way + ": " + kinds;
    if (courses.size() >= most_courses && courses.count(key) == 0) return nullptr;
    auto& course = courses[key];
    auto& shared = sent[kinds];
    if (!shared) shared = std::make_shared<Sent>();
    if (!course) course = std::make_unique<Course>(), course->sent_there = shared;
    return course->stage == Course::Stage::plain ? nullptr : course.get();
  }

  /// The room is given back: before work that takes other memory and may be as large, where it has become too small, and where the
  /// device has no memory left for somebody else.
  void clear_out() {
    for (auto& [key, course] : courses) course->leave();
    in_room = 0;
  }

  /// Where there is no room yet, or it is too small, it is made for the largest of those that have been rehearsed.
  bool enter(Course& course) try {
    std::shared_ptr<const Block> now = room.lock();
    const auto fits = [&] { return now && now->bytes() >= static_cast<std::size_t>(course.arena->bytes()); };
    if (!fits()) {
      now.reset();
      clear_out();
      std::int64_t most = 0;
      for (auto& [key, each] : courses)
        if (each->stage == Course::Stage::rehearsed) most = std::max(most, each->arena->bytes());
      room = now = std::make_shared<const Block>(static_cast<std::size_t>(most), device_of(course.in));
      if (!keeper)
        keeper.emplace(now->device(), [this] {
          if (const Turn mine(busy); mine) clear_out();
        });
    }
    course.arena->lie_in(now);
    return true;
  } catch (const Error&) {  // for want of memory
    return course.give_up();
  }

  void go(Course& course, std::int64_t trip, const Tensors& in, const std::string& sent) {
    copy_all(in, course.in);
    course.there->repeat(sent);
    in_room = trip;
  }

  /// Whether the device makes this call by itself, its results in the course's `out`. If not, they may be in `result` already, or
  /// else the call is to be made, and compared where the course is recorded.
  bool call(Course& course, const Maker& make, const Tensors& in, const std::string& numbers, Tensors& result) {
    using Stage = Course::Stage;
    if (course.stage == Stage::fresh || course.stage == Stage::seen) clear_out();
    if (course.stage == Stage::fresh) return course.stage = Stage::seen, false;
    if (course.stage == Stage::seen) return static_cast<void>(course.rehearse(make, in, result)), false;
    if (course.stage == Stage::rehearsed && !(enter(course) && course.record(make, numbers))) return false;
    const std::string* known = course.sent_there->find(numbers, course.bytes_there);
    if (known == nullptr && !course.spell_out(make, numbers, false)) return false;
    if (known == nullptr) known = course.sent_there->find(numbers, course.bytes_there);
    go(course, ++trips, in, *known);
    ++repeated;
    return true;
  }

  /// back(g) of a trip that was repeated. False where it is to be made op by op.
  bool come_back(Course& course, std::int64_t trip, const Maker& make, const Tensors& in, const std::string& numbers,
                 const Tensors& g, Tensors& result) {
    if (kinds_of(g) != kinds_of(course.g)) return false;
    if (course.sent_back_for(numbers) == nullptr && !course.spell_out(make, numbers, true)) return false;
    const auto *there = course.sent_there->find(numbers, course.bytes_there), *back = course.sent_back_for(numbers);
    if (there == nullptr || back == nullptr) return false;
    if (in_room != trip) go(course, trip, in, *there);
    copy_all(g, course.g);
    course.back->repeat(*back);
    in_room = 0;  // what is read may have been written over
    ++repeated;
    result = copies(course.pulled);
    return true;
  }

  /// The course, still recorded, if this thread may use it now.
  static Course* recorded(Course* course, const Tensors& in) {
    return course != nullptr && course->stage == Course::Stage::recorded && may_repeat(in) ? course : nullptr;
  }
};

Replay::Replay() : state_(std::make_shared<State>()) {}
Replay::~Replay() = default;

std::int64_t Replay::repeated() const { return state_->repeated; }

Tensors Replay::operator()(const Function& f, const Tensors& in, const std::string& numbers) {
  const Turn one(state_->busy);
  Course* const course = one ? state_->course_of(in, "") : nullptr;
  const Maker make = [&] { return RoundTrip{f, {}}; };
  Tensors result;
  if (course != nullptr && state_->call(*course, make, in, numbers, result)) return copies(course->out);
  return result.empty() ? f(in) : result;
}

std::pair<Tensors, Replay::Function> Replay::round_trip(const Maker& make, const Tensors& in,
                                                        const std::string& numbers, const std::string& way) {
  const Turn one(state_->busy);
  Course* const course = one ? state_->course_of(in, way) : nullptr;
  Tensors result;
  const bool repeats = course != nullptr && state_->call(*course, make, in, numbers, result);
  std::shared_ptr<RoundTrip> trip;
  if (repeats) result = copies(course->out);
  if (result.empty()) {
    trip = std::make_shared<RoundTrip>(make());
    result = trip->there(in);
  }
  const std::int64_t number = repeats ? state_->trips : 0;
  return {result, [=, state = state_, trip = std::move(trip)](const Tensors& g) mutable {
            const Turn one(state->busy);
            Course* const now = one && trip == nullptr ? State::recorded(course, in) : nullptr;
            Tensors pulled;
            if (now != nullptr && number > 0 && state->come_back(*now, number, make, in, numbers, g, pulled))
              return pulled;
            if (trip == nullptr) {
              trip = std::make_shared<RoundTrip>(make());
              static_cast<void>(trip->there(in));
            }
            return std::exchange(trip, nullptr)->back(g);
          }};
}

}  // namespace costate
