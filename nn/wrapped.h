// A network that evaluates another in a way of its own, with the same result.
#pragma once

#include "nn/network.h"

namespace costate {

class Wrapped : public Network, public std::enable_shared_from_this<Wrapped> {
 public:
  explicit Wrapped(std::shared_ptr<const Network> network) : network_(std::move(network)) {}

  [[nodiscard]] std::vector<Parameter> parameters() const override { return network_->parameters(); }
  /// On other values than its own, or where a derivative in them is being taken, the network as it was.
  [[nodiscard]] std::shared_ptr<const Network> with(const Tensors& values) const override;
  [[nodiscard]] Signature signature() const override { return network_->signature(); }
  [[nodiscard]] std::vector<std::string> parts() const override { return network_->parts(); }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const override { return network_->embed_classes(classes); }
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> spellings() const override {
    return network_->spellings();
  }

 protected:
  [[nodiscard]] const Network& network() const { return *network_; }
  /// Another network, or a part of this one, in the same way.
  [[nodiscard]] virtual std::shared_ptr<const Network> wrap(std::shared_ptr<const Network> network) const = 0;
  [[nodiscard]] std::shared_ptr<const Network> select(const std::string& part) const override {
    return wrap(network_->part(part));
  }

 private:
  std::shared_ptr<const Network> network_;
};

}  // namespace costate
