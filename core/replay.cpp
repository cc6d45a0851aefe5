// The stages of a call: plain, rehearsed in memory of its own, recorded, repeated.
#include "core/replay.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/arena.h"
#include "core/kernels/copy.h"
#include "core/kernels/replay.h"
#include "core/profile.h"

namespace costate {
namespace {

/// Beyond it, the work is long enough for the host to keep ahead of it.
constexpr std::int64_t most_bytes = std::int64_t{256} << 20;
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

/// This thread is inside a call that is being rehearsed, recorded or gone through: what it calls belongs to that.
thread_local bool inside_another = false;

struct Inside {
  Inside() { inside_another = true; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { inside_another = false; }
};

/// Of inputs of one shape.
struct Course {
  enum class Stage { fresh, seen, rehearsed, recorded, plain } stage = Stage::fresh;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<Recorder> there, back;  // go before what they refer to
  Tensors in, out, g, pulled;
  std::int64_t trips = 0, in_arena = 0;  // whose values the arena holds

  bool give_up() {
    stage = Stage::plain;
    there.reset();
    back.reset();
    for (Tensors* all : {&in, &out, &g, &pulled}) all->clear();
    arena.reset();
    return false;
  }

  /// The second call, in the arena; what it returns goes to `result`. False where it is to be made again, plainly.
  bool rehearse(const Replay::Maker& make, const Tensors& now, Tensors& result) try {
    make_recorder_kernel.always(device_of(now), there);
    make_recorder_kernel.always(device_of(now), back);
    if (there == nullptr) return give_up();
    arena = std::make_unique<Arena>(device_of(now));
    bool fits = false;
    {
      const Inside inside;
      const Replay::RoundTrip trip = make();
      const Arena::Use use(*arena);
      in = copies(now);
      fits = there->rehearse([&] { out = trip.there(in); });
      if (fits && trip.back) {
        g = copies(out);  // any cotangent will do
        fits = back->rehearse([&] { pulled = trip.back(g); });
      }
    }
    result = copies(out);
    fits = fits && !share_memory(in, out) && !share_memory(in, pulled) && !share_memory(g, pulled) &&
           arena->bytes() <= most_bytes;
    for (Tensors* all : {&out, &g, &pulled}) all->clear();
    stage = Stage::rehearsed;
    if (!fits) give_up();
    return true;
  } catch (const Error&) {  // for want of memory, say
    return give_up();
  }

  bool record(const Replay::Maker& make) {
    const Inside inside;
    const Replay::RoundTrip trip = make();
    const Arena::Use use(*arena);
    stage = Stage::recorded;
    if (!there->record([&] { out = trip.there(in); })) return false;
    if (!trip.back) return true;
    g = room_for(out);
    return back->record([&] { pulled = trip.back(g); });
  }

  /// False where the work is not what was recorded.
  bool learn(const Replay::Maker& make, const Tensors& now, const std::string& numbers) {
    if (there->knows(numbers) && (g.empty() || back->knows(numbers))) return true;
    const Inside inside;
    const Replay::RoundTrip trip = make();
    return there->learn([&] { static_cast<void>(trip.there(now)); }, numbers) &&
           (!trip.back || back->learn([&] { static_cast<void>(trip.back(g)); }, numbers));
  }

  void go(std::int64_t trip, const Tensors& now, const std::string& numbers) {
    copy_all(now, in);
    there->repeat(numbers);
    in_arena = trip;
  }

  /// Recorded, if it was not, and gone; false where it is to be called plainly.
  bool repeat(const Replay::Maker& make, const Tensors& now, const std::string& numbers) {
    if (stage == Stage::rehearsed && !record(make)) return give_up();
    if (!learn(make, now, numbers)) return give_up();
    go(++trips, now, numbers);
    return true;
  }
};

}  // namespace

struct Replay::State {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Course>> courses;  // by kinds of inputs
  std::int64_t repeated = 0;

  Course* course_of(const Tensors& in) {
    const std::string key = kinds_of(in);
    if (courses.size() >= most_courses && courses.count(key) == 0) return nullptr;
    auto& course = courses[key];
    if (!course) course = std::make_unique<Course>();
    return course.get();
  }

  static bool may_repeat(const Tensors& in) {
    return device_of(in) != Device::cpu && !inside_another && !DryRun::active() && !profiling();
  }

  /// The course by which a call goes that is repeated, its results in the course's `out`; null where the host makes it, with them
  /// in `result` if it has made it already.
  Course* call(const Maker& make, const Tensors& in, const std::string& numbers, Tensors& result) {
    Course* const course = course_of(in);
    using Stage = Course::Stage;
    if (course == nullptr || course->stage == Stage::plain) return nullptr;
    if (course->stage == Stage::fresh) return course->stage = Stage::seen, nullptr;
    if (course->stage == Stage::seen) return static_cast<void>(course->rehearse(make, in, result)), nullptr;
    if (!course->repeat(make, in, numbers)) return nullptr;
    ++repeated;
    return course;
  }

  /// back(g) of a trip that was repeated. False where it is to be made plainly.
  bool come_back(Course& course, std::int64_t trip, const Tensors& in, const std::string& numbers, const Tensors& g,
                 Tensors& result) {
    const std::unique_lock one(mutex, std::try_to_lock);
    if (!one || !may_repeat(in) || course.stage != Course::Stage::recorded || kinds_of(g) != kinds_of(course.g) ||
        !course.there->knows(numbers) || !course.back->knows(numbers))
      return false;
    if (course.in_arena != trip) course.go(trip, in, numbers);
    copy_all(g, course.g);
    course.back->repeat(numbers);
    ++repeated;
    result = copies(course.pulled);
    return true;
  }
};

Replay::Replay() : state_(std::make_shared<State>()) {}
Replay::~Replay() = default;

std::int64_t Replay::repeated() const { return state_->repeated; }

Tensors Replay::operator()(const Function& f, const Tensors& in, const std::string& numbers) {
  const std::unique_lock one(state_->mutex, std::try_to_lock);
  if (!one || !State::may_repeat(in)) return f(in);
  Tensors result;
  const Course* const course = state_->call([&] { return RoundTrip{f, {}}; }, in, numbers, result);
  if (course != nullptr) return copies(course->out);
  return result.empty() ? f(in) : result;
}

std::pair<Tensors, Replay::Function> Replay::round_trip(const Maker& make, const Tensors& in,
                                                        const std::string& numbers) {
  const auto again = [make, in](const Tensors& g) {
    const RoundTrip trip = make();
    static_cast<void>(trip.there(in));
    return trip.back(g);
  };
  const std::unique_lock one(state_->mutex, std::try_to_lock);
  if (one && State::may_repeat(in)) {
    Tensors result;
    Course* const course = state_->call(make, in, numbers, result);
    if (!result.empty()) return {result, again};
    if (course != nullptr)
      return {copies(course->out), [=, state = state_, trip = course->trips](const Tensors& g) {
                Tensors pulled;
                return state->come_back(*course, trip, in, numbers, g, pulled) ? pulled : again(g);
              }};
  }
  RoundTrip trip = make();
  Tensors out = trip.there(in);
  return {out, trip.back};
}

}  // namespace costate
