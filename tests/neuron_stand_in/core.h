// What a core of the stand-in has: a queue of device time and a limited memory, and what is noted down about both.
#pragma once
#include <c10/core/Allocator.h>
#include <c10/core/Storage.h>
#include <c10/util/Exception.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>

namespace {
using Clock = std::chrono::steady_clock;
constexpr auto kNeuron = c10::DeviceType::PrivateUse1;
constexpr int kMostCores = 128;
enum Mode { kEager = 0, kInGraph = 1, kFellBack = 2 };  // how the operators that run now came to run

struct Settings {
  int cores, early_sync, runtime_error_on_oom, fused_adamw;
  int64_t memory_bytes;
  double op_seconds, bytes_per_second, first_step_seconds;
};
struct Core {
  int64_t allocated = 0, peak = 0, reserved = 0, peak_reserved = 0, allocations = 0, frees = 0, out_of_memory = 0;
  Clock::time_point busy_until{};
};

Settings settings{1, 0, 0, 0, int64_t(1) << 34, 0, 1e12, 0};
Core cores[kMostCores];
std::mutex lock;  // over everything below and `cores`
std::set<std::string> executed, fell_back, marked;
std::map<std::string, int64_t> int64_events;
void (*warn_int64)(const char*) = nullptr;
bool touched = false, first_backward = true;
int only_core = -1;  // of a process in a distributed job: the one core that every index lands on
const auto main_thread = std::this_thread::get_id();
thread_local int current_core = 0;
thread_local int mode = kEager;

int real_core(int index) { return only_core >= 0 ? only_core : index < 0 ? current_core : index; }
c10::Device device_of(int index) { return {kNeuron, static_cast<c10::DeviceIndex>(real_core(index))}; }

// ---- Time: operators add to the core's queue, the host goes on; who needs a result waits for the queue to drain.

bool compiler_on_path() {
  std::istringstream path(getenv("PATH") ? getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');)
    if (access((folder + "/neuronx-cc").c_str(), X_OK) == 0) return true;
  return false;
}

void enqueue(int index, double seconds) {
  static const bool found = compiler_on_path();
  touched = true;
  while (!found) std::this_thread::sleep_for(std::chrono::seconds(1));  // as the real one: for ever, without a word
  std::lock_guard<std::mutex> hold(lock);
  if (first_backward && std::this_thread::get_id() != main_thread) {  // autograd runs a device's nodes in its thread
    seconds += settings.first_step_seconds;
    first_backward = false;
  }
  auto& until = cores[real_core(index)].busy_until;
  until = std::max(until, Clock::now()) +
          std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void wait(int index) {
  Clock::time_point until;
  {
    std::lock_guard<std::mutex> hold(lock);
    until = cores[real_core(index)].busy_until;
  }
  std::this_thread::sleep_until(until);
}

void note(const std::string& name, int index, int64_t bytes, bool random = false) {
  {
    std::lock_guard<std::mutex> hold(lock);
    (mode == kFellBack || random || marked.count(name) ? fell_back : executed).insert(name);
  }
  enqueue(index, (mode == kInGraph ? 0 : settings.op_seconds) + bytes / settings.bytes_per_second);
}

void note_int64(const char* how) {
  {
    std::lock_guard<std::mutex> hold(lock);
    ++int64_events[how];
  }
  if (warn_int64) warn_int64(how);
}

// ---- Memory: from the CPU's allocator, or a CPU kernel's result adopted as it is; counted either way.

struct Block {
  c10::DataPtr own;
  c10::Storage adopted;
  int64_t bytes;
  int core;
};

void release(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    std::lock_guard<std::mutex> hold(lock);
    cores[block->core].allocated -= block->bytes;
    ++cores[block->core].frees;
  }
  delete block;
}

void account(int core_index, int64_t bytes) {
  std::lock_guard<std::mutex> hold(lock);
  auto& core = cores[core_index];
  touched = true;
  if (core.allocated + bytes > settings.memory_bytes) {
    ++core.out_of_memory;
    auto message = c10::str("Failed to allocate ", bytes, " bytes on neuron:", core_index, ": ", core.allocated, " of ",
                            settings.memory_bytes, " bytes are allocated (NRT_RESOURCE)");
    TORCH_CHECK(!settings.runtime_error_on_oom, message);
    TORCH_CHECK_WITH(OutOfMemoryError, false, message);
  }
  core.allocated += bytes;
  ++core.allocations;
  core.peak = std::max(core.peak, core.allocated);
  constexpr int64_t kSegment = 1 << 20;  // what is reserved grows by segments and stays until empty_cache
  core.reserved = std::max(core.reserved, (core.allocated + kSegment - 1) / kSegment * kSegment);
  core.peak_reserved = std::max(core.peak_reserved, core.reserved);
}

struct DeviceMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    const int core = real_core(-1);
    account(core, bytes);
    auto* block = new Block{c10::GetAllocator(c10::kCPU)->allocate(bytes), {}, int64_t(bytes), core};
    return {block->own.get(), block, &release, device_of(core)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }
} memory;

c10::DataPtr adopt(const c10::Storage& host, int core) {
  account(core, host.nbytes());
  return {host.mutable_data(), new Block{{}, host, int64_t(host.nbytes()), core}, &release, device_of(core)};
}

}  // namespace
