// The device of the stand-in: host memory that PyTorch takes for an accelerator's, through the PrivateUse1 key.
//
// Every operator runs the CPU kernel on the same bytes (`run_on_host`), so results are those of the CPU bit for bit.
// What is simulated is what a benchmark can get wrong: a queue of device time that the host runs ahead of, a memory
// limit and its counters, and a record of the operators that ran (core.h). Python reads and sets all of it through the
// C functions at the end (torch_neuronx/_library.py); nothing here reads the environment but PATH.
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/ops/_local_scalar_dense.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <unordered_map>

#include "core.h"

namespace {
using at::Tensor;

// ---- One operator on the CPU's kernel. Tensors of the device go in as CPU tensors over the same memory.

Tensor tensor_over(c10::Storage storage, c10::DispatchKey key, const Tensor& like) {
  auto tensor = at::detail::make_tensor<at::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  impl->_set_conj(like.is_conj());
  impl->_set_neg(like.is_neg());
  return tensor;
}

class HostCall {
 public:
  explicit HostCall(int core) : core_(core) {}
  int64_t bytes = 0;
  bool made = false;  // a result of its own, not a view of an argument

  Tensor to_host(const Tensor& tensor) {
    if (!tensor.defined() || tensor.device().type() != kNeuron) return tensor;
    core_ = tensor.device().index();
    bytes += tensor.nbytes();
    auto& host = aliases_[tensor.unsafeGetTensorImpl()];
    if (host.defined()) return host;
    auto& storage = hosts_[tensor.storage().unsafeGetStorageImpl()];
    if (!storage) {
      auto* keep = new c10::Storage(tensor.storage());  // a collective still uses it when this call is over
      c10::DataPtr data(keep->mutable_data(), keep, [](void* kept) { delete static_cast<c10::Storage*>(kept); },
                        c10::kCPU);
      storage = c10::Storage(c10::Storage::use_byte_size_t(), keep->nbytes(), std::move(data),
                             c10::GetAllocator(c10::kCPU), /*resizable=*/true);
      owners_[storage.unsafeGetStorageImpl()] = tensor.storage();
    }
    host = tensor_over(storage, c10::DispatchKey::CPU, tensor);
    originals_[host.unsafeGetTensorImpl()] = tensor;
    return host;
  }

  Tensor to_device(const Tensor& host) {
    if (!host.defined()) return host;
    auto known = originals_.find(host.unsafeGetTensorImpl());
    if (known != originals_.end()) return known->second;
    auto& owner = owners_[host.storage().unsafeGetStorageImpl()];
    if (!owner) {
      owner = c10::Storage(c10::Storage::use_byte_size_t(), host.storage().nbytes(), adopt(host.storage(), core_),
                           &memory, /*resizable=*/true);
      bytes += host.nbytes();
      made = true;
    }
    return tensor_over(owner, c10::DispatchKey::PrivateUse1, host);
  }

  void carry_resizes() {  // an argument that the kernel gave another shape, or more memory
    for (auto& [_, host] : aliases_) {
      const Tensor& original = originals_.at(host.unsafeGetTensorImpl());
      auto* storage = original.storage().unsafeGetStorageImpl();
      if (host.storage().data() != storage->data()) {
        storage->set_data_ptr_noswap(adopt(host.storage(), core_));
        storage->set_nbytes(host.storage().nbytes());
      }
      if (host.sizes() != original.sizes() || host.strides() != original.strides())
        original.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
    }
  }

  int core() const { return core_; }
  bool has_device_tensor() const { return !aliases_.empty(); }

 private:
  int core_;
  std::unordered_map<at::TensorImpl*, Tensor> aliases_, originals_;
  std::unordered_map<c10::StorageImpl*, c10::Storage> hosts_, owners_;
};

template <class Convert>
c10::IValue each_tensor(const c10::IValue& value, Convert convert) {
  if (value.isTensor()) return convert(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& tensor : value.toTensorList()) list.push_back(convert(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (std::optional<Tensor> tensor : value.toOptionalTensorList())
      list.push_back(tensor ? std::optional<Tensor>(convert(*tensor)) : std::nullopt);
    return list;
  }
  if (value.isList() && !value.toListRef().empty() && value.toListRef()[0].isTensorList()) {  // allgather_
    c10::List<c10::List<Tensor>> lists;
    for (const auto& list : value.toListRef()) lists.push_back(each_tensor(list, convert).toTensorList());
    return lists;
  }
  return value;
}

void run(const c10::OperatorHandle& op, torch::jit::Stack* stack, bool is_collective) {
  const auto& schema = op.schema();
  const std::string& name = schema.name();
  TORCH_CHECK_NOT_IMPLEMENTED(settings.fused_adamw || name != "aten::_fused_adamw_", name, " is not on neuron");
  const size_t first = stack->size() - schema.arguments().size();
  const bool mixes_devices = name.find("index") != std::string::npos || name.find("_foreach") != std::string::npos;
  HostCall call(real_core(-1));
  for (size_t i = first; i < stack->size(); ++i) {
    auto& value = (*stack)[i];
    if (value.isDevice() && value.toDevice().type() == kNeuron) value = c10::Device(c10::kCPU);
    value = each_tensor(value, [&](const Tensor& tensor) {
      TORCH_CHECK(is_collective || mixes_devices || !tensor.defined() || !tensor.is_cpu() || tensor.dim() == 0, name,
                  ": expected all tensors to be on the same device, found neuron and cpu");
      return call.to_host(tensor);
    });
  }
  const bool as_group = is_collective && call.has_device_tensor();  // of this device; the host's own groups work as ever
  const auto kernel = as_group ? c10::DispatchKey::PrivateUse1 : c10::DispatchKey::CPU;
  op.redispatchBoxed(c10::DispatchKeySet(kernel), stack);
  if (is_collective && !as_group) return;
  call.carry_resizes();
  bool reads_back = name == "aten::nonzero";
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i) {
    auto& value = (*stack)[i];
    reads_back = reads_back || value.isBool() || value.isScalar();
    value = each_tensor(value, [&](const Tensor& tensor) { return call.to_device(tensor); });
  }
  if (!call.made && !schema.is_mutable() && !reads_back) return;  // a view costs the device nothing
  note(name, call.core(), call.bytes, op.hasTag(at::Tag::nondeterministic_seeded));
  if (reads_back) wait(call.core());
}

void run_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) { run(op, stack, false); }

// ---- The operators that cannot be the CPU's: they make memory, move it, or wait.

struct OnCore {  // makes one core current for a while
  explicit OnCore(int index) : before(std::exchange(current_core, index)) {}
  ~OnCore() { current_core = before; }
  int before;
};

using OptionalType = std::optional<at::ScalarType>;
using OptionalDevice = std::optional<c10::Device>;

template <class Make>
Tensor made_on(OptionalDevice device, OptionalType dtype, Make make) {
  const int index = real_core(device && device->has_index() ? device->index() : -1);
  TORCH_CHECK(index < settings.cores, "neuron:", index, " does not exist: ", settings.cores, " core(s) visible");
  if (dtype == at::kLong) note_int64("made on the device");
  OnCore guard(index);
  return make(c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
              dtype.value_or(c10::get_default_dtype_as_scalartype()));
}

Tensor empty(at::IntArrayRef size, OptionalType dtype, std::optional<at::Layout>, OptionalDevice device,
             std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return made_on(device, dtype, [&](auto key, auto type) {
    return Tensor(at::detail::empty_generic(size, &memory, key, type, format));
  });
}

Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, OptionalType dtype, std::optional<at::Layout>,
                     OptionalDevice device, std::optional<bool>) {
  return made_on(device, dtype, [&](auto key, auto type) {
    return Tensor(at::detail::empty_strided_generic(size, stride, &memory, key, type));
  });
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  at::AutoDispatchBelowADInplaceOrView guard;
  HostCall call(0);
  const Tensor source = call.to_host(from), target = call.to_host(to);
  if (from.is_cpu() && from.scalar_type() == at::kLong) note_int64("moved to the device");
  note("aten::_copy_from", call.core(), to.nbytes());
  if (to.is_cpu()) wait(call.core());  // non_blocking or not: host memory is not pinned here
  target.copy_(source);
  return to;
}

Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Scalar local_scalar_dense(const Tensor& tensor) {
  HostCall call(0);
  const Tensor host = call.to_host(tensor);
  note("aten::_local_scalar_dense", call.core(), tensor.nbytes());
  wait(call.core());
  return at::_local_scalar_dense(host);
}

Tensor& set_strided(Tensor& tensor, c10::Storage storage, int64_t offset, at::IntArrayRef size,
                    at::IntArrayRef stride) {
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  if (stride.empty() && !size.empty()) {
    impl->set_storage_offset(offset);
    impl->set_sizes_contiguous(size);
  } else {
    impl->set_sizes_and_strides(size, stride, offset);
  }
  return tensor;
}

Tensor& set_storage(Tensor& tensor, c10::Storage storage) {
  const int64_t elements = storage.nbytes() / tensor.itemsize();
  return set_strided(tensor, std::move(storage), 0, {elements}, {});
}

Tensor& set_tensor(Tensor& tensor, const Tensor& from) {
  return set_strided(tensor, from.storage(), from.storage_offset(), from.sizes(), from.strides());
}

void collective(const c10::OperatorHandle& op, torch::jit::Stack* stack) { run(op, stack, true); }

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_host>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar_dense);
  m.impl("set_.source_Storage_storage_offset", set_strided);
  m.impl("set_.source_Storage", set_storage);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl("silu_backward", torch::CppFunction::makeFromBoxedFunction<&run_on_host>());  // else a composite, 1 ulp off
  m.impl("record_stream", [](Tensor&, c10::Stream) {});
}

TORCH_LIBRARY_IMPL(c10d, BackendSelect, m) {  // before PyTorch's kernels, which then find the group's gloo
  for (const char* name : {"allreduce_", "allreduce_coalesced_", "broadcast_", "allgather_", "_allgather_base_",
                           "allgather_into_tensor_coalesced_", "reduce_", "reduce_scatter_", "_reduce_scatter_base_",
                           "reduce_scatter_tensor_coalesced_", "scatter_", "gather_", "alltoall_base_", "barrier"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&collective>());
}

// ---- What PyTorch asks every accelerator: which devices there are, and their streams. One stream a core.

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kNeuron; }
  c10::Device exchangeDevice(c10::Device to) const override {
    return {kNeuron, c10::DeviceIndex(std::exchange(current_core, to.index()))};
  }
  c10::Device getDevice() const override { return device_of(-1); }
  void setDevice(c10::Device to) const override { current_core = to.index(); }
  void uncheckedSetDevice(c10::Device to) const noexcept override { current_core = to.index(); }
  c10::Stream getStream(c10::Device device) const override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream getNewStream(c10::Device device, int) const override { return getStream(device); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return getStream(stream.device()); }
  c10::DeviceIndex deviceCount() const noexcept override { return c10::DeviceIndex(settings.cores); }
  bool queryStream(const c10::Stream& stream) const override {
    std::lock_guard<std::mutex> hold(lock);
    return Clock::now() >= cores[stream.device_index()].busy_until;
  }
  void synchronizeStream(const c10::Stream& stream) const override { synchronizeDevice(stream.device_index()); }
  void synchronizeDevice(const c10::DeviceIndex index) const override {
    if (!settings.early_sync) wait(index);
  }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}  // one stream a core: already in order
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override { synchronizeDevice(c10::DeviceIndex(real_core(-1))); }
  double elapsedTime(void*, void*, const c10::DeviceIndex) const override { return 0.027; }  // as useless as the real
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return settings.cores > 0; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return c10::DeviceIndex(settings.cores); }
  void setCurrentDevice(c10::DeviceIndex index) const override { current_core = index; }
  c10::DeviceIndex getCurrentDevice() const override { return c10::DeviceIndex(real_core(-1)); }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex to) const override {
    return c10::DeviceIndex(std::exchange(current_core, to));
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex to) const override { return exchangeDevice(to); }
  c10::Device getDeviceFromPtr(void*) const override { return device_of(-1); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::kCPU); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    OnCore guard(storage.device().index());
    auto larger = memory.allocate(bytes);
    memcpy(larger.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(larger));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};

}  // namespace

// ---- What Python calls, through ctypes.

extern "C" {
void nsi_start(const Settings* given, void (*on_int64)(const char*)) {
  settings = *given;
  warn_int64 = on_int64;
  c10::SetAllocator(kNeuron, &memory);
  at::RegisterPrivateUse1HooksInterface(new Hooks);
}
void nsi_synchronize(int core) { Guard().synchronizeDevice(c10::DeviceIndex(real_core(core))); }
void nsi_enqueue(int core, double seconds) { enqueue(core, seconds); }
int nsi_current_core() { return real_core(-1); }
void nsi_set_core(int core) { current_core = core; }
void nsi_use_only(int core) {
  only_core = core;
  settings.cores = std::max(settings.cores, core + 1);
}
int nsi_only_core() { return only_core; }
int nsi_idle(int core) { return Guard().queryStream(Guard().getStream(device_of(core))); }
int nsi_touched() { return touched; }
int nsi_set_mode(int to) { return std::exchange(mode, to); }
void nsi_empty_cache(int core) {
  std::lock_guard<std::mutex> hold(lock);
  cores[real_core(core)].reserved = cores[real_core(core)].allocated;
}
void nsi_reset_peak(int core) {
  std::lock_guard<std::mutex> hold(lock);
  auto& it = cores[real_core(core)];
  it.peak = it.allocated;
  it.peak_reserved = it.reserved;
}
void nsi_memory(int core, int64_t* seven) {
  std::lock_guard<std::mutex> hold(lock);
  memcpy(seven, &cores[real_core(core)], 7 * sizeof(int64_t));
}
void nsi_mark_fallback(const char* operator_name) {
  std::lock_guard<std::mutex> hold(lock);
  marked.insert(operator_name);
}
void nsi_clear_operators() {
  std::lock_guard<std::mutex> hold(lock);
  executed.clear();
  fell_back.clear();
}
const char* nsi_operators(int which) {  // one name a line; valid until the thread's next call
  static thread_local std::string text;
  std::lock_guard<std::mutex> hold(lock);
  text.clear();
  for (auto& name : which ? fell_back : executed) text += name + "\n";
  return text.c_str();
}
int64_t nsi_int64_events(const char* how) {
  std::lock_guard<std::mutex> hold(lock);
  return int64_events[how];
}
}
