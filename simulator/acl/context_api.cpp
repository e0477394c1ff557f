// Contexts, and the options of contexts and of the process.
#include "acl/acl_rt.h"
#include "acl/api_call.h"

using namespace ascend_sim::acl;

namespace {

aclError RequireContextHandle(Process& process, const char* api, aclrtContext handle,
                              std::shared_ptr<Context>* context) {
  *context = process.contexts.Find(handle);
  if (*context != nullptr) return ACL_SUCCESS;
  return Misuse(ACL_ERROR_RT_INVALID_HANDLE, std::string(api) + ": " + process.contexts.WhyNot(handle));
}

aclError RequireOption(const char* api, aclSysParamOpt opt) {
  if (opt == ACL_OPT_DETERMINISTIC || opt == ACL_OPT_ENABLE_DEBUG_KERNEL) return ACL_SUCCESS;
  return Fail(ACL_ERROR_INVALID_PARAM,
              std::string(api) + ": opt: expected ACL_OPT_DETERMINISTIC or ACL_OPT_ENABLE_DEBUG_KERNEL, got " +
                  std::to_string(opt));
}

using Options = std::map<aclSysParamOpt, int64_t>;

aclError SetOption(const char* api, Options* options, aclSysParamOpt opt, int64_t value) {
  if (const aclError status = RequireOption(api, opt)) return status;
  if (value != 0 && value != 1) {
    return Fail(ACL_ERROR_INVALID_PARAM, std::string(api) + ": value: expected 0 or 1, got " + std::to_string(value));
  }
  (*options)[opt] = value;
  return ACL_SUCCESS;
}

aclError GetOption(const char* api, const Options& options, aclSysParamOpt opt, int64_t* value) {
  if (const aclError status = RequireOption(api, opt)) return status;
  const auto found = options.find(opt);
  if (found == options.end()) {
    return Fail(ACL_ERROR_RT_SYSPARAMOPT_NOT_SET, std::string(api) + ": the option was not set");
  }
  *value = found->second;
  return ACL_SUCCESS;
}

}  // namespace

aclError aclrtCreateContext(aclrtContext* context, int32_t deviceId) {
  return WithDevice(__func__, deviceId, {{"context", context}}, [&](Process& process, Process::Lock&) {
    const std::shared_ptr<Context> created = process.OpenContext(deviceId, false);
    SetCurrentContext(*created);
    *context = created.get();
    return ACL_SUCCESS;
  });
}

aclError aclrtDestroyContext(aclrtContext handle) {
  const char* const api = __func__;
  return WithProcess(api, {{"context", handle}}, [&](Process& process, Process::Lock& lock) -> aclError {
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContextHandle(process, api, handle, &context)) return status;
    if (context->is_default) {
      return Misuse(ACL_ERROR_RT_CONTEXT_RELEASE_ERROR,
                    std::string(api) + ": a default context ends with aclrtResetDevice");
    }
    std::vector<std::string> leaks;
    process.CloseContext(lock, context, std::string("was released by ") + api, &leaks);
    ReportLeaks(api, leaks);
    return ACL_SUCCESS;
  });
}

aclError aclrtSetCurrentContext(aclrtContext handle) {
  const char* const api = __func__;
  return WithProcess(api, {{"context", handle}}, [&](Process& process, Process::Lock&) -> aclError {
    std::shared_ptr<Context> context;
    if (const aclError status = RequireContextHandle(process, api, handle, &context)) return status;
    SetCurrentContext(*context);
    return ACL_SUCCESS;
  });
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
  return WithContext(__func__, {{"context", context}}, [&](Process&, Process::Lock&, Context& current) {
    *context = &current;
    return ACL_SUCCESS;
  });
}

aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  const char* const api = __func__;
  return WithProcess(api, {},
                     [&](Process& process, Process::Lock&) { return SetOption(api, &process.options, opt, value); });
}

aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  const char* const api = __func__;
  return WithProcess(api, {{"value", value}},
                     [&](Process& process, Process::Lock&) { return GetOption(api, process.options, opt, value); });
}

aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value) {
  const char* const api = __func__;
  return WithContext(api, {}, [&](Process&, Process::Lock&, Context& context) {
    return SetOption(api, &context.options, opt, value);
  });
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t* value) {
  const char* const api = __func__;
  return WithContext(api, {{"value", value}}, [&](Process& process, Process::Lock&, const Context& context) {
    const Options& options = context.options.count(opt) != 0 ? context.options : process.options;
    return GetOption(api, options, opt, value);
  });
}
