// Streams of the shim: nothing waits, but what is captured is noted and run when its graph is launched.
#include <cuda_runtime.h>

#include <map>
#include <vector>

struct shimGraph {
  std::vector<std::function<void()>> calls;
};

namespace {

struct Stream {
  bool capturing = false, spoilt = false;
  shimGraph noted;
};

Stream* of(cudaStream_t stream) { return static_cast<Stream*>(stream); }

int launched = 0, calls = 0, waits = 0;

}  // namespace

void shim::queue(cudaStream_t stream, std::function<void()> call) {
  if (stream != nullptr && of(stream)->capturing) return of(stream)->noted.calls.push_back(std::move(call));
  ++calls;
  call();
}

bool shim::allowed(cudaStream_t stream) {
  if (stream == nullptr || !of(stream)->capturing) return true;
  of(stream)->spoilt = true;
  return false;
}

int shim::graphs_launched() { return launched; }
int shim::calls_queued() { return calls; }
int shim::waited() { return waits; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }

cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete of(stream), cudaSuccess; }

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ++waits;
  return shim::allowed(stream) ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (kind != cudaMemcpyDeviceToDevice && !shim::allowed(stream)) return cudaErrorStreamCaptureUnsupported;
  shim::queue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  *of(stream) = Stream{.capturing = true, .spoilt = false, .noted = {}};
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const bool good = !of(stream)->spoilt;
  *graph = good ? new shimGraph(std::move(of(stream)->noted)) : nullptr;
  *of(stream) = {};
  return good ? cudaSuccess : cudaErrorStreamCaptureUnsupported;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return *exec = new shimGraph(*graph), cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  if (!shim::allowed(stream)) return cudaErrorStreamCaptureUnsupported;
  ++launched;
  for (const auto& call : graph->calls) call();
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
