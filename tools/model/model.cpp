// Loading a MODEL: find the files, make the network, fill its parameters, settle schedule and prediction.
#include "tools/model/model.h"

#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "nn/by_rows.h"
#include "nn/replayed.h"
#include "tools/model/files.h"
#include "tools/model/fitting.h"
#include "tools/model/scheduler.h"

namespace costate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// `base` with every key of `over` that base lacks: what is said nearer to the model wins.
void fill_missing(json& base, const json& over) {
  for (const auto& [key, value] : over.items()) {
    if (!base.contains(key)) base[key] = value;
  }
}

/// What costate wrote into a file of its own: attributes of HDF5, metadata of safetensors. Empty if there is nothing.
Config own_config(const Checkpoint& file, bool own) {
  const std::string where = file.path().string();
  if (!own) {
    const auto text = file.format() == "safetensors" ? file.text("costate_config") : std::nullopt;
    return text ? Config::parse(*text, where + ", costate_config") : Config();
  }
  const auto written = file.integer("format_version");
  require(written == 1, "{}: format_version {} is not 1; this costate ({}) is too old for it", where,
          written.value_or(0), version());
  const auto text = file.text("config");
  require(text.has_value(), "{}: is a costate model without its `config`; the file is damaged", where);
  return Config::parse(*text, where + ", config");
}

void settle_sampling(Model& m) {
  m.schedule = schedule_from(m.config.object("schedule"));
  const bool pure = m.schedule->level(m.schedule->t_max).alpha == 0;  // lambda is infinite there, and eps is x
  m.prediction = prediction_from(m.config.text("prediction", pure ? "flow" : "epsilon"));
  const Config s = m.config.object("sampling");
  // Configurations as they are published for DDIM and score_sde, with a `model`, have a `sampling` of other keys.
  if (!m.config.has("model"))
    check_options(
        s.where(), s,
        {"grid", "final", "offset", "prior_mean", "time_scale", "time_offset", "unit_input", "sigma_data", "range"});
  m.grid = s.text("grid", m.schedule->steps() > 0 ? "trailing" : pure ? "t" : "lambda");
  m.end = s.choice("final", "zero", {"zero", "first"}) == "zero" ? FinalLevel::zero : FinalLevel::first;
  m.offset = static_cast<int>(s.integer("offset", 0));
  m.prior_mean = s.number("prior_mean", 0);
  m.time_scale = s.number("time_scale", 1);
  m.time_offset = s.number("time_offset", 0);
  m.unit_input = s.flag("unit_input", false);
  m.sigma_data = s.number("sigma_data", 0.5);
  m.range = ValueRange::from(s, "range");
}

/// What a scheduler's file says, unless the model has a schedule of its own; one that was asked for overrules that, too.
void take_scheduler(json& c, const LoadOptions& options, const Config& found) {
  const fs::path& asked = options.scheduler;
  const Config file = asked.empty() ? found : Config::parse(read_text(asked), asked.string());
  if (!asked.empty()) {
    for (const char* key : {"schedule", "prediction", "scheduler"}) c.erase(key);
  }
  if (file.keys().empty() || c.contains("schedule")) return;
  const Scheduler s = read_scheduler(file, options.compat);
  c["scheduler"] = json::parse(file.dump());
  fill_missing(c, {{"schedule", json::parse(s.schedule.dump())}, {"prediction", name_of(s.prediction)}});
  if (!c.contains("sampling")) c["sampling"] = json::object();
  c["sampling"].update({{"unit_input", s.unit_input}, {"sigma_data", s.sigma_data}});
  if (s.time_scale != 1) c["sampling"]["time_scale"] = s.time_scale;  // 1 leaves the network its own
}

Model load_exact(const ModelFiles& files, const LoadOptions& options, Model m) {
  m.format = "json";
  m.family = m.config.text("family", "");
  m.reason = "named by the configuration";
  m.exact = exact_problem(m.config, m.device);
  m.dtype = DType::f64;  // closed forms are for trusting digits
  json c = json::parse(m.config.dump());
  take_scheduler(c, options, {});
  fill_missing(c, {{"schedule", {{"type", "vp_linear"}}}, {"sampling", {{"final", "first"}}}});
  m.config = Config(c, files.config.where());
  settle_sampling(m);
  return m;
}

}  // namespace

Model with_schedule(Model problem, const Config& schedule) {
  json c = json::parse(problem.config.dump());
  c["schedule"] = json::parse(schedule.dump());
  problem.config = Config(c, problem.config.where());
  settle_sampling(problem);
  return problem;
}

Shape Model::sample_shape() const { return is_exact() ? Shape{exact.dimension} : network->signature().input; }

Model load_model(const std::string& name, const LoadOptions& options) {
  const ModelFiles files = find_model_files(name, options.config);
  Model m;
  m.name = name;
  m.compat = options.compat;
  m.dtype = options.dtype;
  m.device = options.device;
  m.config = files.config;
  m.file = files.weights;
  const auto exact = exact_families();
  const bool closed = std::find(exact.begin(), exact.end(), m.config.text("family", "")) != exact.end();
  if (files.weights.empty() && closed) return load_exact(files, options, std::move(m));
  require(!files.weights.empty(), "{}: a .json model must be an exact problem ({}); this one's family is '{}'", name,
          fmt::join(exact, ", "), m.config.text("family", ""));

  const Checkpoint checkpoint = Checkpoint::open(files.weights, options.key);
  const bool own = checkpoint.is_own();
  // costate's own file says all of it, whatever lies beside.
  if (own ? options.config.empty() : m.config.keys().empty()) m.config = own_config(checkpoint, own);
  if (m.config.keys().empty()) m.config = Config(json::object(), name);  // whose messages name what was asked for
  m.format = own ? "hdf5 (costate)" : checkpoint.format();
  m.note = checkpoint.note();
  const Fitting fitting = [&] {
    try {
      return fit_network(m.config, checkpoint, options.key.empty() && !own);
    } catch (const Error&) {
      const auto command = own ? std::nullopt : checkpoint.text("command");
      require(!command, "{}: is no model: it holds what `{}` made", name, command.value_or(""));
      throw;
    }
  }();
  if (!fitting.note.empty()) m.note += (m.note.empty() ? "" : "; ") + fitting.note;
  m.family = fitting.family;
  m.reason = fitting.reason;
  m.key = options.key;
  m.network = load_parameters(*fitting.network, checkpoint, fitting.place, m.kind(), options.weights);
  m.network = by_rows(m.device == Device::cpu ? m.network : replayed(m.network));
  m.keys = fitting.place.keys;
  m.file_shapes = fitting.place.shapes;

  json c = json::parse(m.config.dump());
  c["family"] = m.family;
  take_scheduler(c, options, own ? Config() : files.scheduler);
  const json brings = json::parse(m.network->signature().defaults);
  if (c.contains("sampling") && brings.contains("sampling")) fill_missing(c["sampling"], brings["sampling"]);
  fill_missing(c, brings);
  fill_missing(c, {{"schedule", {{"type", "ddpm"}}}, {"prediction", "epsilon"}});
  m.config = Config(c, name);
  settle_sampling(m);
  return m;
}

}  // namespace costate
