// The state ACL defines as the process's: devices, contexts, streams, events and memory, behind one mutex.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "acl/acl_rt.h"
#include "acl/memory.h"
#include "acl/registry.h"
#include "acl/stream.h"
#include "machine/soc.h"

namespace ascend_sim::acl {

struct Event {
  uint64_t number = 0;
  int32_t device = 0;
  uint32_t flags = 0;
  bool recorded = false;   // and not reset since
  uint64_t requested = 0;  // records put on streams
  uint64_t completed = 0;
  uint64_t waiting = 0;  // waits put on streams that are not over
  Clock clock;           // what has happened when the latest record completes
  int64_t time_ns = 0;   // when that was, by the steady clock
};

struct Context {
  uint64_t number = 0;
  int32_t device = 0;
  bool is_default = false;
  std::map<aclSysParamOpt, int64_t> options;
  std::shared_ptr<Stream> default_stream;
};

struct Device {
  uint64_t set_count = 0;
  std::shared_ptr<Context> default_context;
};

class Process {
 public:
  using Lock = std::unique_lock<std::mutex>;
  static Process& Get();

  // Guards everything that follows.
  std::mutex mutex;

  bool initialised = false;
  bool by_operator_library = false;  // aclnnInit did it
  bool finalised = false;            // once, at least
  std::vector<Device> devices;
  Registry<Context> contexts{"context"};
  Registry<Stream> streams{"stream"};  // those of aclrtCreateStream; a context's default stream has no handle
  Registry<Event> events{"event"};
  MemoryTable memory;
  std::map<aclSysParamOpt, int64_t> options;
  Clock host;  // what the host has waited for
  std::condition_variable event_completed;
  const Soc* soc = nullptr;

  uint64_t NextNumber() { return ++last_number_; }

  std::shared_ptr<Context> OpenContext(int32_t device, bool is_default);
  std::shared_ptr<Stream> NewStream(const Context& context);
  // Waits for the context's streams and releases them; what they were goes to `leaks`, without the default stream.
  void CloseContext(Lock& lock, const std::shared_ptr<Context>& context, const std::string& how,
                    std::vector<std::string>* leaks);
  // The stream's handle is gone already. A failure nobody was told is reported.
  void CloseStream(Lock& lock, Stream& stream, bool drop);
  // Everything on a device.
  void CloseDevice(Lock& lock, int32_t device, const std::string& how, std::vector<std::string>* leaks);
  // Everything.
  void CloseAll(Lock& lock, const std::string& how, std::vector<std::string>* leaks);
  // The streams of a device, default streams included.
  std::vector<std::shared_ptr<Stream>> StreamsOf(int32_t device) const;

 private:
  Process();
  uint64_t last_number_ = 0;
};

// ASCEND_SIMULATOR_DEVICES.
int DeviceCount();

// The context current in this thread, or null.
std::shared_ptr<Context> CurrentContext(Process& process);
void SetCurrentContext(const Context& context);

// Statuses, with a message, of calls that find no process, context or stream to work with; see api_call.h.
aclError RequireInitialised(Process& process, const char* api);
aclError RequireContext(Process& process, const char* api, std::shared_ptr<Context>* context);
// Null is the current context's default stream; any other must be of the current context too.
aclError RequireStream(Process& process, const char* api, aclrtStream handle, std::shared_ptr<Stream>* stream);

}  // namespace ascend_sim::acl
