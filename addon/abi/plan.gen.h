// Made by scripts/generate.mjs from src/plan/vocabulary.ts; do not edit.
#pragma once
#include <cstddef>
#include <cstdint>

#include "addon/abi/record.h"

namespace tsrun::abi {

inline constexpr uint32_t kVocabularyHash = 0x31238124u;
inline constexpr uint32_t kMaxPlanBytes = 16777216;
inline constexpr uint32_t kMaxSteps = 4096;
inline constexpr uint32_t kMaxSlots = 512;
inline constexpr uint32_t kMaxElements = 65536;
inline constexpr uint16_t kMaxStepCode = 254;

enum class StepKind : uint16_t {
  kSyncSignal = 1,
  kSyncWait = 2,
  kProcessSpawn = 10,
  kProcessFork = 11,
  kProcessAdopt = 12,
  kProcessSignal = 13,
  kProcessWaitGone = 14,
  kProcessOomScoreAdj = 15,
  kProcessRlimit = 16,
  kProcessWaitExec = 17,
  kProcessSignals = 18,
  kProcessSetsid = 19,
  kProcessStdioOwner = 20,
  kProcessNoNewPrivileges = 21,
  kProcessCwd = 22,
  kProcessLookup = 23,
  kProcessExec = 24,
  kFdsCloseOnExec = 25,
  kKeyringJoin = 26,
  kProcessScheduler = 27,
  kProcessIoPriority = 28,
  kProcessAffinity = 29,
  kProcessSpawnAffinity = 33,
  kProcessPersonality = 34,
  kProcessMemoryPolicy = 35,
  kLsmAttribute = 36,
  kGateListen = 30,
  kGateWait = 31,
  kGateOpen = 32,
  kNsOpen = 40,
  kNsOpenProcess = 41,
  kNsJoin = 42,
  kNsUnshare = 43,
  kNsTimeOffsets = 44,
  kUsernsMap = 45,
  kIdentityBecomeRoot = 46,
  kIdentitySet = 47,
  kCapsBounding = 48,
  kCapsApply = 49,
  kUsernsOpen = 55,
  kMountPropagation = 60,
  kRootBind = 61,
  kMountFilesystem = 62,
  kMountBind = 63,
  kMountAttributes = 64,
  kMountOpenTree = 65,
  kRootPivot = 66,
  kRootPropagation = 67,
  kRootReadonly = 68,
  kDeviceCreate = 69,
  kDeviceBind = 70,
  kFsSymlink = 71,
  kFsMkdir = 72,
  kPathMask = 73,
  kPathReadonly = 74,
  kConsoleConnect = 75,
  kConsolePair = 76,
  kConsoleOpen = 77,
  kSysctlWrite = 78,
  kUtsHostname = 79,
  kUtsDomainname = 80,
  kNetLoopback = 81,
  kRootOpen = 82,
  kDeviceReopenNull = 83,
  kRootDetach = 84,
  kFsLabel = 85,
  kMountIdmap = 92,
  kMountOverlay = 240,
  kNetMoveDevice = 93,
  kCgroupCreate = 100,
  kCgroupWrite = 101,
  kCgroupOpen = 102,
  kCgroupJoin = 103,
  kCgroupDevices = 104,
  kCgroupFreeze = 105,
  kCgroupSignal = 106,
  kCgroupRemove = 107,
  kCgroupWriteFirst = 108,
  kCgroupEnter = 109,
  kCgroupDelegate = 110,
  kCgroupUpdate = 111,
  kCgroupAdopt = 233,
  kSystemdStartUnit = 230,
  kSystemdSetProperties = 231,
  kSystemdStopUnit = 232,
  kResctrlCreate = 150,
  kResctrlWrite = 151,
  kResctrlJoin = 152,
  kResctrlRemove = 153,
  kSeccompCompile = 120,
  kSeccompLoad = 121,
  kSeccompListener = 122,
  kHookRun = 130,
  kPidfdSend = 131,
  kFileAppend = 134,
  kNotifyListen = 132,
  kNotifyForward = 133,
  kCriuConnect = 250,
  kCriuRequest = 251,
  kCriuWait = 252,
  kFdsPlace = 253,
  kMountTarget = 254,
};

/// What failed: a system call, or a check of ours.
enum class Op : uint16_t {
  kNone = 0,
  kOpen = 1,
  kOpenat2 = 2,
  kOpenTree = 3,
  kMoveMount = 4,
  kFsopen = 5,
  kFsconfig = 6,
  kFsmount = 7,
  kMountSetattr = 8,
  kMount = 9,
  kUmount2 = 10,
  kPivotRoot = 11,
  kChroot = 12,
  kChdir = 13,
  kFchdir = 14,
  kMkdirat = 15,
  kMknodat = 16,
  kSymlinkat = 17,
  kUnlinkat = 18,
  kFchown = 19,
  kFchmod = 20,
  kFstat = 21,
  kFstatfs = 22,
  kRead = 23,
  kWrite = 24,
  kSetns = 25,
  kUnshare = 26,
  kClone3 = 27,
  kExecve = 28,
  kSocket = 29,
  kBind = 30,
  kListen = 31,
  kAccept4 = 32,
  kConnect = 33,
  kSendmsg = 34,
  kRecvmsg = 35,
  kIoctl = 36,
  kPrctl = 37,
  kCapset = 38,
  kSetresuid = 39,
  kSetresgid = 40,
  kSetgroups = 41,
  kSethostname = 42,
  kSetdomainname = 43,
  kKeyctl = 44,
  kSeccomp = 45,
  kPrlimit64 = 46,
  kPidfdOpen = 47,
  kPidfdSendSignal = 48,
  kBpf = 49,
  kRmdir = 50,
  kMemfdCreate = 51,
  kFcntl = 52,
  kMmap = 53,
  kWaitid = 54,
  kCloseRange = 55,
  kSetsid = 56,
  kPoll = 57,
  kRenameat = 58,
  kReadlinkat = 59,
  kLookup = 60,
  kVerify = 61,
  kTimeout = 62,
  kExited = 63,
  kKilled = 64,
  kPeer = 65,
  kLimit = 66,
  kLibseccomp = 67,
  kInjected = 68,
  kUtimensat = 69,
  kPthreadCreate = 70,
  kSchedSetattr = 71,
  kSchedSetaffinity = 72,
  kIoprioSet = 73,
  kPersonality = 74,
  kSetMempolicy = 75,
  kFsetxattr = 76,
  kPidfdGetfd = 77,
  kRtnetlink = 78,
  kSystemd = 79,
  kCriu = 80,
  kLinkat = 81,
  kFtruncate = 82,
  kSyncfs = 83,
};

enum class SyncPoint : uint64_t {
  kUsernsMade = 1,
  kUsernsMapped = 2,
  kHostReady = 3,
  kMountsDone = 4,
  kHooksDone = 5,
  kReady = 6,
  kStarted = 7,
  kNetworkMade = 8,
};

enum class PivotMethod : uint64_t {
  kPivot = 0,
  kMove = 1,
  kChroot = 2,
};

/// Bits of mount.bind's `links`.
inline constexpr uint64_t kLinkSourceNoFollow = 1;
inline constexpr uint64_t kLinkTargetNoFollow = 2;
inline constexpr uint64_t kLinkCopy = 4;

/// How the verifier checks a record of this code; `name` is null for a code that is not in use.
struct StepInfo {
  const char* name;
  uint8_t sides; // 1 = host list, 2 = container list
  uint8_t field_count;
  FieldType fields[12];
};

inline constexpr StepInfo kStepInfo[kMaxStepCode + 1] = {
    {nullptr, 0, 0, {}},
    {"sync.signal", 3, 1, {FieldType::kU64}},
    {"sync.wait", 3, 1, {FieldType::kU64}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"process.spawn", 1, 3, {FieldType::kU64, FieldType::kSlot, FieldType::kU64}},
    {"process.fork", 2, 0, {}},
    {"process.adopt", 1, 0, {}},
    {"process.signal", 1, 4, {FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kBool}},
    {"process.waitGone", 1, 3, {FieldType::kU64, FieldType::kU64, FieldType::kU64}},
    {"process.oomScoreAdj", 1, 1, {FieldType::kU64}},
    {"process.rlimit", 1, 3, {FieldType::kU64, FieldType::kU64, FieldType::kU64}},
    {"process.waitExec", 1, 0, {}},
    {"process.signals", 2, 1, {FieldType::kU64}},
    {"process.setsid", 2, 0, {}},
    {"process.stdioOwner", 2, 1, {FieldType::kU64}},
    {"process.noNewPrivileges", 2, 0, {}},
    {"process.cwd", 2, 2, {FieldType::kStr, FieldType::kBool}},
    {"process.lookup", 2, 2, {FieldType::kStr, FieldType::kStr}},
    {"process.exec", 2, 5, {FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kStrs, FieldType::kBool}},
    {"fds.closeOnExec", 2, 1, {FieldType::kU64}},
    {"keyring.join", 2, 2, {FieldType::kStr, FieldType::kU64}},
    {"process.scheduler", 1, 7, {FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64}},
    {"process.ioPriority", 1, 2, {FieldType::kU64, FieldType::kU64}},
    {"process.affinity", 1, 1, {FieldType::kU64s}},
    {"gate.listen", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kSlot}},
    {"gate.wait", 2, 1, {FieldType::kSlot}},
    {"gate.open", 1, 2, {FieldType::kStr, FieldType::kStr}},
    {"process.spawnAffinity", 1, 1, {FieldType::kU64s}},
    {"process.personality", 2, 1, {FieldType::kU64}},
    {"process.memoryPolicy", 2, 2, {FieldType::kU64, FieldType::kU64s}},
    {"lsm.attribute", 2, 3, {FieldType::kStr, FieldType::kStr, FieldType::kStr}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"ns.open", 1, 4, {FieldType::kStr, FieldType::kU64, FieldType::kBool, FieldType::kSlot}},
    {"ns.openProcess", 1, 3, {FieldType::kU64, FieldType::kU64, FieldType::kSlot}},
    {"ns.join", 2, 2, {FieldType::kSlot, FieldType::kU64}},
    {"ns.unshare", 2, 1, {FieldType::kU64}},
    {"ns.timeOffsets", 2, 1, {FieldType::kStr}},
    {"userns.map", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kBool}},
    {"identity.becomeRoot", 2, 0, {}},
    {"identity.set", 2, 5, {FieldType::kU64, FieldType::kU64, FieldType::kU64s, FieldType::kBool, FieldType::kU64}},
    {"caps.bounding", 2, 1, {FieldType::kU64}},
    {"caps.apply", 2, 4, {FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"userns.open", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kSlot}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"mount.propagation", 2, 1, {FieldType::kU64}},
    {"root.bind", 2, 2, {FieldType::kStr, FieldType::kBool}},
    {"mount.filesystem", 2, 11, {FieldType::kStr, FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kU64, FieldType::kU64, FieldType::kBool, FieldType::kU64, FieldType::kBool, FieldType::kBool, FieldType::kU64}},
    {"mount.bind", 2, 11, {FieldType::kStr, FieldType::kSlot, FieldType::kStr, FieldType::kBool, FieldType::kU64, FieldType::kU64, FieldType::kBool, FieldType::kU64, FieldType::kBool, FieldType::kU64, FieldType::kU64}},
    {"mount.attributes", 2, 5, {FieldType::kStr, FieldType::kU64, FieldType::kU64, FieldType::kBool, FieldType::kU64}},
    {"mount.openTree", 1, 4, {FieldType::kStr, FieldType::kBool, FieldType::kSlot, FieldType::kBool}},
    {"root.pivot", 2, 1, {FieldType::kU64}},
    {"root.propagation", 2, 1, {FieldType::kU64}},
    {"root.readonly", 2, 0, {}},
    {"device.create", 2, 8, {FieldType::kStr, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kStr}},
    {"device.bind", 2, 5, {FieldType::kStr, FieldType::kStr, FieldType::kU64, FieldType::kU64, FieldType::kU64}},
    {"fs.symlink", 2, 3, {FieldType::kStr, FieldType::kStr, FieldType::kBool}},
    {"fs.mkdir", 2, 2, {FieldType::kStr, FieldType::kU64}},
    {"path.mask", 2, 2, {FieldType::kStr, FieldType::kStr}},
    {"path.readonly", 2, 1, {FieldType::kStr}},
    {"console.connect", 1, 2, {FieldType::kStr, FieldType::kSlot}},
    {"console.pair", 1, 1, {FieldType::kSlot}},
    {"console.open", 2, 6, {FieldType::kSlot, FieldType::kU64, FieldType::kU64, FieldType::kU64, FieldType::kBool, FieldType::kBool}},
    {"sysctl.write", 2, 2, {FieldType::kStr, FieldType::kStr}},
    {"uts.hostname", 2, 1, {FieldType::kStr}},
    {"uts.domainname", 2, 1, {FieldType::kStr}},
    {"net.loopback", 2, 0, {}},
    {"root.open", 2, 1, {FieldType::kStr}},
    {"device.reopenNull", 2, 0, {}},
    {"root.detach", 1, 2, {FieldType::kStr, FieldType::kBool}},
    {"fs.label", 2, 4, {FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kStr}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"mount.idmap", 1, 3, {FieldType::kSlot, FieldType::kSlot, FieldType::kBool}},
    {"net.moveDevice", 1, 2, {FieldType::kStr, FieldType::kStr}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"cgroup.create", 1, 5, {FieldType::kStr, FieldType::kStr, FieldType::kBool, FieldType::kStrs, FieldType::kStrs}},
    {"cgroup.write", 1, 4, {FieldType::kStr, FieldType::kStr, FieldType::kStr, FieldType::kStr}},
    {"cgroup.open", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kSlot}},
    {"cgroup.join", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kStr}},
    {"cgroup.devices", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kBytes}},
    {"cgroup.freeze", 1, 4, {FieldType::kStr, FieldType::kStr, FieldType::kBool, FieldType::kU64}},
    {"cgroup.signal", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kU64}},
    {"cgroup.remove", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kU64}},
    {"cgroup.writeFirst", 1, 5, {FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kStrs, FieldType::kBool}},
    {"cgroup.enter", 1, 2, {FieldType::kStr, FieldType::kStr}},
    {"cgroup.delegate", 1, 3, {FieldType::kStr, FieldType::kStr, FieldType::kU64}},
    {"cgroup.update", 1, 6, {FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kStrs, FieldType::kStrs, FieldType::kBool}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"seccomp.compile", 1, 9, {FieldType::kU64, FieldType::kU64, FieldType::kU64s, FieldType::kStrs, FieldType::kU64s, FieldType::kU64s, FieldType::kBool, FieldType::kStr, FieldType::kSlot}},
    {"seccomp.load", 2, 4, {FieldType::kSlot, FieldType::kU64, FieldType::kBool, FieldType::kBool}},
    {"seccomp.listener", 1, 2, {FieldType::kStr, FieldType::kStrs}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"hook.run", 3, 11, {FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kStrs, FieldType::kStrs, FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kStr, FieldType::kSlot, FieldType::kSlot}},
    {"pidfd.send", 1, 1, {FieldType::kStr}},
    {"notify.listen", 1, 2, {FieldType::kStr, FieldType::kStr}},
    {"notify.forward", 1, 4, {FieldType::kStr, FieldType::kU64, FieldType::kU64, FieldType::kBool}},
    {"file.append", 1, 2, {FieldType::kStr, FieldType::kSlot}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"resctrl.create", 1, 5, {FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kBool, FieldType::kBool}},
    {"resctrl.write", 1, 4, {FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kStr}},
    {"resctrl.join", 1, 4, {FieldType::kStr, FieldType::kU64, FieldType::kStr, FieldType::kBool}},
    {"resctrl.remove", 1, 3, {FieldType::kStr, FieldType::kU64, FieldType::kStr}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"systemd.startUnit", 1, 8, {FieldType::kStrs, FieldType::kStrs, FieldType::kBytes, FieldType::kStr, FieldType::kBytes, FieldType::kU64, FieldType::kBytes, FieldType::kU64}},
    {"systemd.setProperties", 1, 7, {FieldType::kStrs, FieldType::kStrs, FieldType::kBytes, FieldType::kStr, FieldType::kBytes, FieldType::kBytes, FieldType::kU64}},
    {"systemd.stopUnit", 1, 6, {FieldType::kStrs, FieldType::kStrs, FieldType::kBytes, FieldType::kStr, FieldType::kBytes, FieldType::kU64}},
    {"cgroup.adopt", 1, 4, {FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kStrs}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"mount.overlay", 1, 7, {FieldType::kStrs, FieldType::kStr, FieldType::kStr, FieldType::kStr, FieldType::kStrs, FieldType::kSlot, FieldType::kSlot}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {nullptr, 0, 0, {}},
    {"criu.connect", 1, 1, {FieldType::kSlot}},
    {"criu.request", 1, 2, {FieldType::kSlot, FieldType::kBytes}},
    {"criu.wait", 1, 4, {FieldType::kStr, FieldType::kBool, FieldType::kSlot, FieldType::kU64}},
    {"fds.place", 2, 2, {FieldType::kSlot, FieldType::kU64}},
    {"mount.target", 2, 4, {FieldType::kStr, FieldType::kStr, FieldType::kBool, FieldType::kU64}},
};

/// Tells the other side that this point is reached.
struct SyncSignal {
  static constexpr StepKind kKind = StepKind::kSyncSignal;
  uint64_t point;
  explicit SyncSignal(const Record& r)
      : point(r.u64(0)) {}
};

/// Waits until the other side has reached this point; its failure ends the wait.
struct SyncWait {
  static constexpr StepKind kKind = StepKind::kSyncWait;
  uint64_t point;
  explicit SyncWait(const Record& r)
      : point(r.u64(0)) {}
};

/// Clones a child with these namespace flags (straight into the cgroup of the slot, if given) that executes tsrun-init, which runs the container list. The caller's descriptors 3 to 2 + keepFds stay open in it, and of the slots those that the container list names.
struct ProcessSpawn {
  static constexpr StepKind kKind = StepKind::kProcessSpawn;
  uint64_t clone_flags;
  Slot cgroup;
  uint64_t keep_fds;
  explicit ProcessSpawn(const Record& r)
      : clone_flags(r.u64(0)),
        cgroup(r.slot(1)),
        keep_fds(r.u64(2)) {}
};

/// Goes on in a second process with the same parent (CLONE_PARENT), so that a new or joined pid or time namespace takes effect; the first stage exits.
struct ProcessFork {
  static constexpr StepKind kKind = StepKind::kProcessFork;

  explicit ProcessFork(const Record&) {}
};

/// Takes the process made by process.fork as the container's process and reaps the first stage.
struct ProcessAdopt {
  static constexpr StepKind kKind = StepKind::kProcessAdopt;

  explicit ProcessAdopt(const Record&) {}
};

/// Sends a signal through a pidfd after checking that pid and start time still name the same process; `gone` says whether a vanished process is no error.
struct ProcessSignal {
  static constexpr StepKind kKind = StepKind::kProcessSignal;
  uint64_t pid;
  uint64_t start_time;
  uint64_t signal;
  bool gone;
  explicit ProcessSignal(const Record& r)
      : pid(r.u64(0)),
        start_time(r.u64(1)),
        signal(r.u64(2)),
        gone(r.bool_(3)) {}
};

/// Waits until the process is gone or a zombie.
struct ProcessWaitGone {
  static constexpr StepKind kKind = StepKind::kProcessWaitGone;
  uint64_t pid;
  uint64_t start_time;
  uint64_t timeout_ms;
  explicit ProcessWaitGone(const Record& r)
      : pid(r.u64(0)),
        start_time(r.u64(1)),
        timeout_ms(r.u64(2)) {}
};

/// Writes oom_score_adj of the container's process (lowering needs privilege in the initial user namespace).
struct ProcessOomScoreAdj {
  static constexpr StepKind kKind = StepKind::kProcessOomScoreAdj;
  int64_t value;
  explicit ProcessOomScoreAdj(const Record& r)
      : value(r.i64(0)) {}
};

/// prlimit64 on the container's process (raising needs privilege in the initial user namespace).
struct ProcessRlimit {
  static constexpr StepKind kKind = StepKind::kProcessRlimit;
  uint64_t resource;
  uint64_t soft;
  uint64_t hard;
  explicit ProcessRlimit(const Record& r)
      : resource(r.u64(0)),
        soft(r.u64(1)),
        hard(r.u64(2)) {}
};

/// Waits until the container's process has executed its program (end of file) or says why it could not.
struct ProcessWaitExec {
  static constexpr StepKind kKind = StepKind::kProcessWaitExec;

  explicit ProcessWaitExec(const Record&) {}
};

/// Resets every signal to its default except the ignored ones of this mask, and unblocks all.
struct ProcessSignals {
  static constexpr StepKind kKind = StepKind::kProcessSignals;
  uint64_t ignored;
  explicit ProcessSignals(const Record& r)
      : ignored(r.u64(0)) {}
};

/// Becomes a session leader.
struct ProcessSetsid {
  static constexpr StepKind kKind = StepKind::kProcessSetsid;

  explicit ProcessSetsid(const Record&) {}
};

/// Gives standard input, output and error to the container's user, unless they are /dev/null or already theirs (runc's rule; EINVAL, EPERM and EROFS of the file system are no errors).
struct ProcessStdioOwner {
  static constexpr StepKind kKind = StepKind::kProcessStdioOwner;
  uint64_t uid;
  explicit ProcessStdioOwner(const Record& r)
      : uid(r.u64(0)) {}
};

/// prctl(PR_SET_NO_NEW_PRIVS).
struct ProcessNoNewPrivileges {
  static constexpr StepKind kKind = StepKind::kProcessNoNewPrivileges;

  explicit ProcessNoNewPrivileges(const Record&) {}
};

/// Changes directory inside the new root and checks that it is reachable from the root (CVE-2024-21626). As root first, which leaves EACCES to a second step; that one, `asUser`, does it only if the first was denied.
struct ProcessCwd {
  static constexpr StepKind kKind = StepKind::kProcessCwd;
  Str path;
  bool as_user;
  explicit ProcessCwd(const Record& r)
      : path(r.str(0)),
        as_user(r.bool_(1)) {}
};

/// Checks that the program can be found and executed, by the rules of execvp with this search path, so that create fails early.
struct ProcessLookup {
  static constexpr StepKind kKind = StepKind::kProcessLookup;
  Str program;
  Str path;
  explicit ProcessLookup(const Record& r)
      : program(r.str(0)),
        path(r.str(1)) {}
};

/// Finds the program by the same rules and executes it; `home` adds HOME to the environment, from /etc/passwd for the process's uid, else /.
struct ProcessExec {
  static constexpr StepKind kKind = StepKind::kProcessExec;
  Str program;
  Str path;
  Strs args;
  Strs env;
  bool home;
  explicit ProcessExec(const Record& r)
      : program(r.str(0)),
        path(r.str(1)),
        args(r.strs(2)),
        env(r.strs(3)),
        home(r.bool_(4)) {}
};

/// Marks every file descriptor from this number on close-on-exec, keeps those between 3 and it open for the program, and closes what only earlier steps needed: the root, a procfs, the null device.
struct FdsCloseOnExec {
  static constexpr StepKind kKind = StepKind::kFdsCloseOnExec;
  uint64_t first;
  explicit FdsCloseOnExec(const Record& r)
      : first(r.u64(0)) {}
};

/// Joins a session keyring of this name, so that the caller's is not reachable, and adds these permissions to it (keyctl_setperm(3)). A kernel without keyrings has nothing to hide.
struct KeyringJoin {
  static constexpr StepKind kKind = StepKind::kKeyringJoin;
  Str name;
  uint64_t permissions;
  explicit KeyringJoin(const Record& r)
      : name(r.str(0)),
        permissions(r.u64(1)) {}
};

/// sched_setattr on the container's process (real-time policies and a lower nice value need privilege in the initial user namespace). Times are nanoseconds.
struct ProcessScheduler {
  static constexpr StepKind kKind = StepKind::kProcessScheduler;
  uint64_t policy;
  uint64_t flags;
  int64_t nice;
  uint64_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
  explicit ProcessScheduler(const Record& r)
      : policy(r.u64(0)),
        flags(r.u64(1)),
        nice(r.i64(2)),
        priority(r.u64(3)),
        runtime(r.u64(4)),
        deadline(r.u64(5)),
        period(r.u64(6)) {}
};

/// ioprio_set on the container's process (the real-time class needs privilege in the initial user namespace).
struct ProcessIoPriority {
  static constexpr StepKind kKind = StepKind::kProcessIoPriority;
  uint64_t io_class;
  uint64_t priority;
  explicit ProcessIoPriority(const Record& r)
      : io_class(r.u64(0)),
        priority(r.u64(1)) {}
};

/// sched_setaffinity on the container's process: the CPUs that it may run on, bit n of the set is CPU n.
struct ProcessAffinity {
  static constexpr StepKind kKind = StepKind::kProcessAffinity;
  U64s cpus;
  explicit ProcessAffinity(const Record& r)
      : cpus(r.u64s(0)) {}
};

/// Lets the next process.spawn clone while this thread runs on these CPUs, which the child inherits.
struct ProcessSpawnAffinity {
  static constexpr StepKind kKind = StepKind::kProcessSpawnAffinity;
  U64s cpus;
  explicit ProcessSpawnAffinity(const Record& r)
      : cpus(r.u64s(0)) {}
};

/// personality(2), which decides what uname and execve take the machine for.
struct ProcessPersonality {
  static constexpr StepKind kKind = StepKind::kProcessPersonality;
  uint64_t persona;
  explicit ProcessPersonality(const Record& r)
      : persona(r.u64(0)) {}
};

/// set_mempolicy(2): bit n of the set is memory node n. execve and fork keep it.
struct ProcessMemoryPolicy {
  static constexpr StepKind kKind = StepKind::kProcessMemoryPolicy;
  uint64_t mode;
  U64s nodes;
  explicit ProcessMemoryPolicy(const Record& r)
      : mode(r.u64(0)),
        nodes(r.u64s(1)) {}
};

/// Writes a security attribute of the process (/proc/thread-self/attr/<lsm>/<name>, or attr/<name> if `lsm` is empty or the kernel has no directory of it), through a private procfs whose type is checked (CVE-2019-16884, CVE-2025-52881). An empty value clears it.
struct LsmAttribute {
  static constexpr StepKind kKind = StepKind::kLsmAttribute;
  Str lsm;
  Str name;
  Str value;
  explicit LsmAttribute(const Record& r)
      : lsm(r.str(0)),
        name(r.str(1)),
        value(r.str(2)) {}
};

/// Makes the container's gate: a listening unix socket in its state directory.
struct GateListen {
  static constexpr StepKind kKind = StepKind::kGateListen;
  Str directory;
  Str name;
  Slot slot;
  explicit GateListen(const Record& r)
      : directory(r.str(0)),
        name(r.str(1)),
        slot(r.slot(2)) {}
};

/// Waits until start opens the gate; ends if the creator dies before it has recorded the container.
struct GateWait {
  static constexpr StepKind kKind = StepKind::kGateWait;
  Slot slot;
  explicit GateWait(const Record& r)
      : slot(r.slot(0)) {}
};

/// Opens the gate of a created container, removes it, and waits for execve (end of file) or a failure record.
struct GateOpen {
  static constexpr StepKind kKind = StepKind::kGateOpen;
  Str directory;
  Str name;
  explicit GateOpen(const Record& r)
      : directory(r.str(0)),
        name(r.str(1)) {}
};

/// Opens a namespace by path and checks its type (NS_GET_NSTYPE). `foreign`: it may not be the one that tsrun is in.
struct NsOpen {
  static constexpr StepKind kKind = StepKind::kNsOpen;
  Str path;
  uint64_t type;
  bool foreign;
  Slot slot;
  explicit NsOpen(const Record& r)
      : path(r.str(0)),
        type(r.u64(1)),
        foreign(r.bool_(2)),
        slot(r.slot(3)) {}
};

/// Opens a pidfd of a process whose namespaces are to be joined, after checking its start time.
struct NsOpenProcess {
  static constexpr StepKind kKind = StepKind::kNsOpenProcess;
  uint64_t pid;
  uint64_t start_time;
  Slot slot;
  explicit NsOpenProcess(const Record& r)
      : pid(r.u64(0)),
        start_time(r.u64(1)),
        slot(r.slot(2)) {}
};

/// setns to the namespace of the slot, or, for a pidfd, to all of the process's namespaces of these types. Closes it.
struct NsJoin {
  static constexpr StepKind kKind = StepKind::kNsJoin;
  Slot slot;
  uint64_t types;
  explicit NsJoin(const Record& r)
      : slot(r.slot(0)),
        types(r.u64(1)) {}
};

/// unshare of these namespaces.
struct NsUnshare {
  static constexpr StepKind kKind = StepKind::kNsUnshare;
  uint64_t types;
  explicit NsUnshare(const Record& r)
      : types(r.u64(0)) {}
};

/// Writes the offsets of the time namespace made before, which nobody has entered yet.
struct NsTimeOffsets {
  static constexpr StepKind kKind = StepKind::kNsTimeOffsets;
  Str offsets;
  explicit NsTimeOffsets(const Record& r)
      : offsets(r.str(0)) {}
};

/// Writes uid_map and gid_map (and setgroups) of the container's process.
struct UsernsMap {
  static constexpr StepKind kKind = StepKind::kUsernsMap;
  Str uid_map;
  Str gid_map;
  bool deny_setgroups;
  explicit UsernsMap(const Record& r)
      : uid_map(r.str(0)),
        gid_map(r.str(1)),
        deny_setgroups(r.bool_(2)) {}
};

/// Becomes uid and gid 0 of the user namespace, so that the namespaces made next belong to it.
struct IdentityBecomeRoot {
  static constexpr StepKind kKind = StepKind::kIdentityBecomeRoot;

  explicit IdentityBecomeRoot(const Record&) {}
};

/// Sets umask, supplementary groups, gid and uid, keeping the permitted capabilities for caps.apply.
struct IdentitySet {
  static constexpr StepKind kKind = StepKind::kIdentitySet;
  uint64_t uid;
  uint64_t gid;
  U64s groups;
  bool set_groups;
  uint64_t umask;
  explicit IdentitySet(const Record& r)
      : uid(r.u64(0)),
        gid(r.u64(1)),
        groups(r.u64s(2)),
        set_groups(r.bool_(3)),
        umask(r.u64(4)) {}
};

/// Drops from the bounding set what is not in this mask.
struct CapsBounding {
  static constexpr StepKind kKind = StepKind::kCapsBounding;
  uint64_t keep;
  explicit CapsBounding(const Record& r)
      : keep(r.u64(0)) {}
};

/// Sets the effective, permitted, inheritable and ambient sets.
struct CapsApply {
  static constexpr StepKind kKind = StepKind::kCapsApply;
  uint64_t effective;
  uint64_t permitted;
  uint64_t inheritable;
  uint64_t ambient;
  explicit CapsApply(const Record& r)
      : effective(r.u64(0)),
        permitted(r.u64(1)),
        inheritable(r.u64(2)),
        ambient(r.u64(3)) {}
};

/// Makes a user namespace with these maps and nobody in it, for mount.idmap: a process that does nothing else lives as long as the step.
struct UsernsOpen {
  static constexpr StepKind kKind = StepKind::kUsernsOpen;
  Str uid_map;
  Str gid_map;
  Slot slot;
  explicit UsernsOpen(const Record& r)
      : uid_map(r.str(0)),
        gid_map(r.str(1)),
        slot(r.slot(2)) {}
};

/// Sets the propagation of the namespace's whole tree before anything is mounted.
struct MountPropagation {
  static constexpr StepKind kKind = StepKind::kMountPropagation;
  uint64_t flags;
  explicit MountPropagation(const Record& r)
      : flags(r.u64(0)) {}
};

/// Makes the rootfs a mount of its own and opens it: every later target is resolved inside. `isolate` first stops propagation from the mount that holds it; not set where that mount is the host's own.
struct RootBind {
  static constexpr StepKind kKind = StepKind::kRootBind;
  Str path;
  bool isolate;
  explicit RootBind(const Record& r)
      : path(r.str(0)),
        isolate(r.bool_(1)) {}
};

/// Mounts a new file system: fsopen, fsconfig, fsmount, move_mount onto the target opened inside the root; mount(2) through the target's descriptor where the new calls cannot say it (texts over 255 bytes, `mountFlags`). `magic`, if not 0, is the file system type that must result; `noSymlinks` refuses a target behind a symbolic link (/proc and /sys); `keepMode` gives the new root the mode of the directory it covers, `copyUp` its content.
struct MountFilesystem {
  static constexpr StepKind kKind = StepKind::kMountFilesystem;
  Str fs_type;
  Str source;
  Str target;
  Strs options;
  uint64_t attr;
  uint64_t propagation;
  bool no_symlinks;
  uint64_t magic;
  bool copy_up;
  bool keep_mode;
  uint64_t mount_flags;
  explicit MountFilesystem(const Record& r)
      : fs_type(r.str(0)),
        source(r.str(1)),
        target(r.str(2)),
        options(r.strs(3)),
        attr(r.u64(4)),
        propagation(r.u64(5)),
        no_symlinks(r.bool_(6)),
        magic(r.u64(7)),
        copy_up(r.bool_(8)),
        keep_mode(r.bool_(9)),
        mount_flags(r.u64(10)) {}
};

/// Bind mount: open_tree of the source (a host path, or a tree opened by the host in the slot), attributes set on the detached tree, move_mount onto the target, which is made like the source if missing. `magic`, if not 0, is the file system type that the source must have. `links` says what a symbolic link that is the source or the target means.
struct MountBind {
  static constexpr StepKind kKind = StepKind::kMountBind;
  Str source;
  Slot slot;
  Str target;
  bool recursive;
  uint64_t attr_set;
  uint64_t attr_clear;
  bool attr_recursive;
  uint64_t propagation;
  bool no_symlinks;
  uint64_t magic;
  uint64_t links;
  explicit MountBind(const Record& r)
      : source(r.str(0)),
        slot(r.slot(1)),
        target(r.str(2)),
        recursive(r.bool_(3)),
        attr_set(r.u64(4)),
        attr_clear(r.u64(5)),
        attr_recursive(r.bool_(6)),
        propagation(r.u64(7)),
        no_symlinks(r.bool_(8)),
        magic(r.u64(9)),
        links(r.u64(10)) {}
};

/// Changes attributes or propagation of a mount made before.
struct MountAttributes {
  static constexpr StepKind kKind = StepKind::kMountAttributes;
  Str target;
  uint64_t set;
  uint64_t clear;
  bool recursive;
  uint64_t propagation;
  explicit MountAttributes(const Record& r)
      : target(r.str(0)),
        set(r.u64(1)),
        clear(r.u64(2)),
        recursive(r.bool_(3)),
        propagation(r.u64(4)) {}
};

/// Opens a detached copy of a host path for a container whose user cannot reach it, or for mount.idmap; mounts made in the copy do not propagate to the host. `noFollow`: a symbolic link is itself the source.
struct MountOpenTree {
  static constexpr StepKind kKind = StepKind::kMountOpenTree;
  Str source;
  bool recursive;
  Slot slot;
  bool no_follow;
  explicit MountOpenTree(const Record& r)
      : source(r.str(0)),
        recursive(r.bool_(1)),
        slot(r.slot(2)),
        no_follow(r.bool_(3)) {}
};

/// Enters the root: pivot_root through file descriptors, MS_MOVE and chroot (--no-pivot), or chroot alone.
struct RootPivot {
  static constexpr StepKind kKind = StepKind::kRootPivot;
  uint64_t method;
  explicit RootPivot(const Record& r)
      : method(r.u64(0)) {}
};

/// Sets the propagation of the container's root mount.
struct RootPropagation {
  static constexpr StepKind kKind = StepKind::kRootPropagation;
  uint64_t flags;
  explicit RootPropagation(const Record& r)
      : flags(r.u64(0)) {}
};

/// Makes the container's root mount read-only.
struct RootReadonly {
  static constexpr StepKind kKind = StepKind::kRootReadonly;

  explicit RootReadonly(const Record&) {}
};

/// Makes a device node or fifo with its mode and owner; one that is there already must be the same. Where mknod is not permitted, the host's device `bindFrom`, if not empty, is bound as device.bind does.
struct DeviceCreate {
  static constexpr StepKind kKind = StepKind::kDeviceCreate;
  Str path;
  uint64_t type;
  uint64_t major;
  uint64_t minor;
  uint64_t mode;
  uint64_t uid;
  uint64_t gid;
  Str bind_from;
  explicit DeviceCreate(const Record& r)
      : path(r.str(0)),
        type(r.u64(1)),
        major(r.u64(2)),
        minor(r.u64(3)),
        mode(r.u64(4)),
        uid(r.u64(5)),
        gid(r.u64(6)),
        bind_from(r.str(7)) {}
};

/// Binds a host device of this type and number over an empty file, where mknod is not allowed (user namespaces).
struct DeviceBind {
  static constexpr StepKind kKind = StepKind::kDeviceBind;
  Str source;
  Str path;
  uint64_t type;
  uint64_t major;
  uint64_t minor;
  explicit DeviceBind(const Record& r)
      : source(r.str(0)),
        path(r.str(1)),
        type(r.u64(2)),
        major(r.u64(3)),
        minor(r.u64(4)) {}
};

/// Makes a symbolic link inside the root; `replace` removes another file in its place first, otherwise one that is there stays.
struct FsSymlink {
  static constexpr StepKind kKind = StepKind::kFsSymlink;
  Str target;
  Str path;
  bool replace;
  explicit FsSymlink(const Record& r)
      : target(r.str(0)),
        path(r.str(1)),
        replace(r.bool_(2)) {}
};

/// Makes a directory, with its parents, inside the root.
struct FsMkdir {
  static constexpr StepKind kKind = StepKind::kFsMkdir;
  Str path;
  uint64_t mode;
  explicit FsMkdir(const Record& r)
      : path(r.str(0)),
        mode(r.u64(1)) {}
};

/// Hides a path: a verified /dev/null over a file, an empty read-only tmpfs (with this SELinux context, if not empty) over a directory; a missing path is none to hide.
struct PathMask {
  static constexpr StepKind kKind = StepKind::kPathMask;
  Str path;
  Str context;
  explicit PathMask(const Record& r)
      : path(r.str(0)),
        context(r.str(1)) {}
};

/// Binds a path over itself read-only; a missing path is no error.
struct PathReadonly {
  static constexpr StepKind kKind = StepKind::kPathReadonly;
  Str path;
  explicit PathReadonly(const Record& r)
      : path(r.str(0)) {}
};

/// Connects to the console socket, which will get the terminal's master.
struct ConsoleConnect {
  static constexpr StepKind kKind = StepKind::kConsoleConnect;
  Str path;
  Slot slot;
  explicit ConsoleConnect(const Record& r)
      : path(r.str(0)),
        slot(r.slot(1)) {}
};

/// Makes a socket pair for a terminal in the foreground: the container's end in the slot, the other kept for attach.
struct ConsolePair {
  static constexpr StepKind kKind = StepKind::kConsolePair;
  Slot slot;
  explicit ConsolePair(const Record& r)
      : slot(r.slot(0)) {}
};

/// Opens a terminal in the container's own devpts, sends its master through the slot, makes it the standard streams and, with `bind`, /dev/console. `onlcr`: it adds a carriage return to line ends, as terminals do.
struct ConsoleOpen {
  static constexpr StepKind kKind = StepKind::kConsoleOpen;
  Slot slot;
  uint64_t uid;
  uint64_t rows;
  uint64_t columns;
  bool bind;
  bool onlcr;
  explicit ConsoleOpen(const Record& r)
      : slot(r.slot(0)),
        uid(r.u64(1)),
        rows(r.u64(2)),
        columns(r.u64(3)),
        bind(r.bool_(4)),
        onlcr(r.bool_(5)) {}
};

/// Writes a sysctl through a private procfs whose type is checked.
struct SysctlWrite {
  static constexpr StepKind kKind = StepKind::kSysctlWrite;
  Str key;
  Str value;
  explicit SysctlWrite(const Record& r)
      : key(r.str(0)),
        value(r.str(1)) {}
};

/// sethostname.
struct UtsHostname {
  static constexpr StepKind kKind = StepKind::kUtsHostname;
  Str name;
  explicit UtsHostname(const Record& r)
      : name(r.str(0)) {}
};

/// setdomainname.
struct UtsDomainname {
  static constexpr StepKind kKind = StepKind::kUtsDomainname;
  Str name;
  explicit UtsDomainname(const Record& r)
      : name(r.str(0)) {}
};

/// Brings the loopback device of a new network namespace up.
struct NetLoopback {
  static constexpr StepKind kKind = StepKind::kNetLoopback;

  explicit NetLoopback(const Record&) {}
};

/// Opens the rootfs where nothing is mounted in it: a container without a mount namespace and without mounts.
struct RootOpen {
  static constexpr StepKind kKind = StepKind::kRootOpen;
  Str path;
  explicit RootOpen(const Record& r)
      : path(r.str(0)) {}
};

/// Standard streams that are the host's /dev/null become the container's, whose mode and owner it may change without harm.
struct DeviceReopenNull {
  static constexpr StepKind kKind = StepKind::kDeviceReopenNull;

  explicit DeviceReopenNull(const Record&) {}
};

/// Detaches the mount made by root.bind at this path, with all below it, when the container had no mount namespace that ends with it: at once if `now`, otherwise when the plan is undone. The mount that was there before stays.
struct RootDetach {
  static constexpr StepKind kKind = StepKind::kRootDetach;
  Str path;
  bool now;
  explicit RootDetach(const Record& r)
      : path(r.str(0)),
        now(r.bool_(1)) {}
};

/// Gives the directory at this path inside the root a security label (extended attribute security.<lsm>), after checking that it is of this file system type.
struct FsLabel {
  static constexpr StepKind kKind = StepKind::kFsLabel;
  Str path;
  uint64_t magic;
  Str lsm;
  Str label;
  explicit FsLabel(const Record& r)
      : path(r.str(0)),
        magic(r.u64(1)),
        lsm(r.str(2)),
        label(r.str(3)) {}
};

/// Maps the ids of the detached tree in the slot (the mount, or all of them if `recursive`) as the user namespace in the other slot does: MOUNT_ATTR_IDMAP, Linux 5.12.
struct MountIdmap {
  static constexpr StepKind kKind = StepKind::kMountIdmap;
  Slot tree;
  Slot userns;
  bool recursive;
  explicit MountIdmap(const Record& r)
      : tree(r.slot(0)),
        userns(r.slot(1)),
        recursive(r.bool_(2)) {}
};

/// Makes an overlay of these layers (topmost first) as a detached mount, in a mount namespace that ends with the step, where every layer has a short name: their number is not bounded by the page that mount(2) takes. With `userns` the layers' ids are mapped as it does (Linux 5.19). `upper` and `work` are relative to `writable`; none of the three for an overlay that cannot be written.
struct MountOverlay {
  static constexpr StepKind kKind = StepKind::kMountOverlay;
  Strs lowers;
  Str writable;
  Str upper;
  Str work;
  Strs options;
  Slot userns;
  Slot slot;
  explicit MountOverlay(const Record& r)
      : lowers(r.strs(0)),
        writable(r.str(1)),
        upper(r.str(2)),
        work(r.str(3)),
        options(r.strs(4)),
        userns(r.slot(5)),
        slot(r.slot(6)) {}
};

/// Moves a network device into the container's network namespace under this name (`%d` in it stands for the first free number), adds its permanent global addresses again and sets it up; undo moves it back as it was, with its addresses and routes.
struct NetMoveDevice {
  static constexpr StepKind kKind = StepKind::kNetMoveDevice;
  Str device;
  Str name;
  explicit NetMoveDevice(const Record& r)
      : device(r.str(0)),
        name(r.str(1)) {}
};

/// Makes the cgroup and its missing parents below a verified cgroup file system; undo removes what it made. One that is there already must be without processes and not frozen. v1: `cpuset` fills empty cpuset.cpus and cpuset.mems from the parents. v2: enables `controllers` in every parent, where they can be; that one of `needed` cannot is an error.
struct CgroupCreate {
  static constexpr StepKind kKind = StepKind::kCgroupCreate;
  Str hierarchy;
  Str path;
  bool cpuset;
  Strs controllers;
  Strs needed;
  explicit CgroupCreate(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        cpuset(r.bool_(2)),
        controllers(r.strs(3)),
        needed(r.strs(4)) {}
};

/// Writes a value to a file of the cgroup.
struct CgroupWrite {
  static constexpr StepKind kKind = StepKind::kCgroupWrite;
  Str hierarchy;
  Str path;
  Str file;
  Str value;
  explicit CgroupWrite(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        file(r.str(2)),
        value(r.str(3)) {}
};

/// Opens the cgroup's directory for process.spawn (CLONE_INTO_CGROUP, v2).
struct CgroupOpen {
  static constexpr StepKind kKind = StepKind::kCgroupOpen;
  Str hierarchy;
  Str path;
  Slot slot;
  explicit CgroupOpen(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        slot(r.slot(2)) {}
};

/// Moves the container's process into the cgroup, which waits for a grace period of the kernel; `fallback`, if not empty, is tried when the cgroup may have no processes (v2: EBUSY, EOPNOTSUPP).
struct CgroupJoin {
  static constexpr StepKind kKind = StepKind::kCgroupJoin;
  Str hierarchy;
  Str path;
  Str fallback;
  explicit CgroupJoin(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        fallback(r.str(2)) {}
};

/// Loads an eBPF device program and attaches it to the cgroup (v2) in place of those that are there.
struct CgroupDevices {
  static constexpr StepKind kKind = StepKind::kCgroupDevices;
  Str hierarchy;
  Str path;
  Bytes program;
  explicit CgroupDevices(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        program(r.bytes(2)) {}
};

/// Freezes or thaws the cgroup and waits until it is so. `version` is 1 or 2.
struct CgroupFreeze {
  static constexpr StepKind kKind = StepKind::kCgroupFreeze;
  Str hierarchy;
  Str path;
  bool frozen;
  uint64_t version;
  explicit CgroupFreeze(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        frozen(r.bool_(2)),
        version(r.u64(3)) {}
};

/// Signals every process in the cgroup and those below it (cgroup.kill for SIGKILL where there is one); a missing cgroup is no error.
struct CgroupSignal {
  static constexpr StepKind kKind = StepKind::kCgroupSignal;
  Str hierarchy;
  Str path;
  uint64_t signal;
  explicit CgroupSignal(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        signal(r.u64(2)) {}
};

/// Removes the cgroup and those below it, waiting for exiting processes; a missing one is no error.
struct CgroupRemove {
  static constexpr StepKind kKind = StepKind::kCgroupRemove;
  Str hierarchy;
  Str path;
  uint64_t timeout_ms;
  explicit CgroupRemove(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        timeout_ms(r.u64(2)) {}
};

/// Writes to the first of these files of the cgroup that is there, each with its own value; `missing` says whether none of them is no error.
struct CgroupWriteFirst {
  static constexpr StepKind kKind = StepKind::kCgroupWriteFirst;
  Str hierarchy;
  Str path;
  Strs files;
  Strs values;
  bool missing;
  explicit CgroupWriteFirst(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        files(r.strs(2)),
        values(r.strs(3)),
        missing(r.bool_(4)) {}
};

/// Lets the next process.spawn clone from a thread of its own that stands in this v1 cgroup: the child is born there, without the grace period that cgroup.join waits for.
struct CgroupEnter {
  static constexpr StepKind kKind = StepKind::kCgroupEnter;
  Str hierarchy;
  Str path;
  explicit CgroupEnter(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)) {}
};

/// Gives the cgroup's directory (v2) and those of its files that /sys/kernel/cgroup/delegate lists to this uid of the host.
struct CgroupDelegate {
  static constexpr StepKind kKind = StepKind::kCgroupDelegate;
  Str hierarchy;
  Str path;
  uint64_t uid;
  explicit CgroupDelegate(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        uid(r.u64(2)) {}
};

/// Writes to the first of these files of the cgroup that is there, as cgroup.writeFirst; undo writes the file's text of `before` to it (none if empty), for a cgroup that stays when the plan fails.
struct CgroupUpdate {
  static constexpr StepKind kKind = StepKind::kCgroupUpdate;
  Str hierarchy;
  Str path;
  Strs files;
  Strs values;
  Strs before;
  bool missing;
  explicit CgroupUpdate(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        files(r.strs(2)),
        values(r.strs(3)),
        before(r.strs(4)),
        missing(r.bool_(5)) {}
};

/// Takes a v2 cgroup in which somebody else has put the container's process: checks that it is there and nobody else, then lets the parents give it these controllers (`needed`: must be possible).
struct CgroupAdopt {
  static constexpr StepKind kKind = StepKind::kCgroupAdopt;
  Str hierarchy;
  Str path;
  Strs controllers;
  Strs needed;
  explicit CgroupAdopt(const Record& r)
      : hierarchy(r.str(0)),
        path(r.str(1)),
        controllers(r.strs(2)),
        needed(r.strs(3)) {}
};

/// Makes this call, with the pid of the container's process at byte `pidAt` of it (0: nowhere), and waits until the job that it starts is done. Undo ends the process and makes the call `stop`.
struct SystemdStartUnit {
  static constexpr StepKind kKind = StepKind::kSystemdStartUnit;
  Strs managers;
  Strs buses;
  Bytes greeting;
  Str unit;
  Bytes call;
  uint64_t pid_at;
  Bytes stop;
  uint64_t timeout_ms;
  explicit SystemdStartUnit(const Record& r)
      : managers(r.strs(0)),
        buses(r.strs(1)),
        greeting(r.bytes(2)),
        unit(r.str(3)),
        call(r.bytes(4)),
        pid_at(r.u64(5)),
        stop(r.bytes(6)),
        timeout_ms(r.u64(7)) {}
};

/// Makes these calls, and waits for the last one's answer; undo makes the calls `undo`.
struct SystemdSetProperties {
  static constexpr StepKind kKind = StepKind::kSystemdSetProperties;
  Strs managers;
  Strs buses;
  Bytes greeting;
  Str unit;
  Bytes calls;
  Bytes undo;
  uint64_t timeout_ms;
  explicit SystemdSetProperties(const Record& r)
      : managers(r.strs(0)),
        buses(r.strs(1)),
        greeting(r.bytes(2)),
        unit(r.str(3)),
        calls(r.bytes(4)),
        undo(r.bytes(5)),
        timeout_ms(r.u64(6)) {}
};

/// Makes this call and waits until its job is done. A unit that is not there, or a manager that is not there, is no error.
struct SystemdStopUnit {
  static constexpr StepKind kKind = StepKind::kSystemdStopUnit;
  Strs managers;
  Strs buses;
  Bytes greeting;
  Str unit;
  Bytes call;
  uint64_t timeout_ms;
  explicit SystemdStopUnit(const Record& r)
      : managers(r.strs(0)),
        buses(r.strs(1)),
        greeting(r.bytes(2)),
        unit(r.str(3)),
        call(r.bytes(4)),
        timeout_ms(r.u64(5)) {}
};

/// Makes a directory (a class, or a monitoring group in mon_groups of one); undo removes it. One that is there is used if `existing`, otherwise an error; `make` false: it must be there.
struct ResctrlCreate {
  static constexpr StepKind kKind = StepKind::kResctrlCreate;
  Str root;
  uint64_t magic;
  Str path;
  bool make;
  bool existing;
  explicit ResctrlCreate(const Record& r)
      : root(r.str(0)),
        magic(r.u64(1)),
        path(r.str(2)),
        make(r.bool_(3)),
        existing(r.bool_(4)) {}
};

/// Writes a line to schemata of the directory; undo writes back what was there. A failure says what info/last_cmd_status says.
struct ResctrlWrite {
  static constexpr StepKind kKind = StepKind::kResctrlWrite;
  Str root;
  uint64_t magic;
  Str path;
  Str value;
  explicit ResctrlWrite(const Record& r)
      : root(r.str(0)),
        magic(r.u64(1)),
        path(r.str(2)),
        value(r.str(3)) {}
};

/// Writes the container's process to tasks of the directory; `gone` says whether a missing one is no error.
struct ResctrlJoin {
  static constexpr StepKind kKind = StepKind::kResctrlJoin;
  Str root;
  uint64_t magic;
  Str path;
  bool gone;
  explicit ResctrlJoin(const Record& r)
      : root(r.str(0)),
        magic(r.u64(1)),
        path(r.str(2)),
        gone(r.bool_(3)) {}
};

/// Removes the directory; a missing one is no error.
struct ResctrlRemove {
  static constexpr StepKind kKind = StepKind::kResctrlRemove;
  Str root;
  uint64_t magic;
  Str path;
  explicit ResctrlRemove(const Record& r)
      : root(r.str(0)),
        magic(r.u64(1)),
        path(r.str(2)) {}
};

/// Compiles the profile with libseccomp into the slot, or takes it from the cache directory (none if empty). Rule i answers syscall names[i] with actions[i]; conditions are groups of five: rule, argument, operator, value, second value. `newerAction` answers numbers above the highest that the profile names.
struct SeccompCompile {
  static constexpr StepKind kKind = StepKind::kSeccompCompile;
  uint64_t default_action;
  uint64_t newer_action;
  U64s architectures;
  Strs names;
  U64s actions;
  U64s conditions;
  bool fail_unknown;
  Str cache;
  Slot slot;
  explicit SeccompCompile(const Record& r)
      : default_action(r.u64(0)),
        newer_action(r.u64(1)),
        architectures(r.u64s(2)),
        names(r.strs(3)),
        actions(r.u64s(4)),
        conditions(r.u64s(5)),
        fail_unknown(r.bool_(6)),
        cache(r.str(7)),
        slot(r.slot(8)) {}
};

/// Loads the compiled filter of the slot. `listener`: the kernel asks somebody about some of its system calls, and the host fetches the descriptor for that (seccomp.listener). `dumpable`: so that a host without privilege may.
struct SeccompLoad {
  static constexpr StepKind kKind = StepKind::kSeccompLoad;
  Slot slot;
  uint64_t flags;
  bool listener;
  bool dumpable;
  explicit SeccompLoad(const Record& r)
      : slot(r.slot(0)),
        flags(r.u64(1)),
        listener(r.bool_(2)),
        dumpable(r.bool_(3)) {}
};

/// Fetches the listener of the filter that the container has just loaded (pidfd_getfd) and sends it to a unix stream socket, with a text: `state` joined by the pid of the container's process.
struct SeccompListener {
  static constexpr StepKind kKind = StepKind::kSeccompListener;
  Str path;
  Strs state;
  explicit SeccompListener(const Record& r)
      : path(r.str(0)),
        state(r.strs(1)) {}
};

/// Runs a hook in this directory (or in / where that cannot be entered) with the container's state on its standard input: stateBefore, the pid as this side sees it, stateAfter; or stateBefore alone if stateAfter is empty. `timeoutMs` 0 is no limit. Its output goes to the files of the slots; without them its end is kept for the failure.
struct HookRun {
  static constexpr StepKind kKind = StepKind::kHookRun;
  Str hook;
  uint64_t index;
  Str path;
  Strs args;
  Strs env;
  Str directory;
  uint64_t timeout_ms;
  Str state_before;
  Str state_after;
  Slot out;
  Slot err;
  explicit HookRun(const Record& r)
      : hook(r.str(0)),
        index(r.u64(1)),
        path(r.str(2)),
        args(r.strs(3)),
        env(r.strs(4)),
        directory(r.str(5)),
        timeout_ms(r.u64(6)),
        state_before(r.str(7)),
        state_after(r.str(8)),
        out(r.slot(9)),
        err(r.slot(10)) {}
};

/// Sends a pidfd of the container's process to a unix socket.
struct PidfdSend {
  static constexpr StepKind kKind = StepKind::kPidfdSend;
  Str path;
  explicit PidfdSend(const Record& r)
      : path(r.str(0)) {}
};

/// Opens a file to append to; one that is missing is made, for its owner only.
struct FileAppend {
  static constexpr StepKind kKind = StepKind::kFileAppend;
  Str path;
  Slot slot;
  explicit FileAppend(const Record& r)
      : path(r.str(0)),
        slot(r.slot(1)) {}
};

/// Makes a datagram socket of this name in the directory, to which programs say that they are ready (sd_notify(3)); whoever finds it may write to it. Kept for notify.forward or attach.
struct NotifyListen {
  static constexpr StepKind kKind = StepKind::kNotifyListen;
  Str directory;
  Str name;
  explicit NotifyListen(const Record& r)
      : directory(r.str(0)),
        name(r.str(1)) {}
};

/// Waits until somebody says READY=… to the socket of notify.listen, or the process ends (not if it is `ready` already, having been restored); says it, and MAINPID=pid, to this address (a path, or @name of an abstract socket), and waits until it is taken in (BARRIER=1, at most 30 s).
struct NotifyForward {
  static constexpr StepKind kKind = StepKind::kNotifyForward;
  Str address;
  uint64_t pid;
  uint64_t start_time;
  bool ready;
  explicit NotifyForward(const Record& r)
      : address(r.str(0)),
        pid(r.u64(1)),
        start_time(r.u64(2)),
        ready(r.bool_(3)) {}
};

/// Makes the socket over which CRIU is told what to do (`criu swrk`), its end in the slot.
struct CriuConnect {
  static constexpr StepKind kKind = StepKind::kCriuConnect;
  Slot slot;
  explicit CriuConnect(const Record& r)
      : slot(r.slot(0)) {}
};

/// Sends a request (a criu_req of CRIU's rpc.proto) to the CRIU that the plan has spawned; the slot is the one of criu.connect. Undo: a process that was adopted is killed, and CRIU learns that nobody is there any more, and undoes what it did.
struct CriuRequest {
  static constexpr StepKind kKind = StepKind::kCriuRequest;
  Slot slot;
  Bytes request;
  explicit CriuRequest(const Record& r)
      : slot(r.slot(0)),
        request(r.bytes(1)) {}
};

/// Lets CRIU go on to this point (a notification of its RPC, where it waits), or to its end if `script` is empty. `adopt`: the process that CRIU names there becomes the container's. A terminal's master that CRIU finds on the way goes through the slot `console`; that lazy pages can be fetched is told by a zero byte to the descriptor `statusFd` of tsrun, if not 0.
struct CriuWait {
  static constexpr StepKind kKind = StepKind::kCriuWait;
  Str script;
  bool adopt;
  Slot console;
  uint64_t status_fd;
  explicit CriuWait(const Record& r)
      : script(r.str(0)),
        adopt(r.bool_(1)),
        console(r.slot(2)),
        status_fd(r.u64(3)) {}
};

/// Keeps the descriptor of the slot open for the program, under this number, which must be free.
struct FdsPlace {
  static constexpr StepKind kKind = StepKind::kFdsPlace;
  Slot slot;
  uint64_t number;
  explicit FdsPlace(const Record& r)
      : slot(r.slot(0)),
        number(r.u64(1)) {}
};

/// Makes what mount.bind of this host path would be mounted on, if missing, and mounts nothing.
struct MountTarget {
  static constexpr StepKind kKind = StepKind::kMountTarget;
  Str source;
  Str target;
  bool no_symlinks;
  uint64_t links;
  explicit MountTarget(const Record& r)
      : source(r.str(0)),
        target(r.str(1)),
        no_symlinks(r.bool_(2)),
        links(r.u64(3)) {}
};

#define TSRUN_HOST_STEPS(X) \
  X(SyncSignal) \
  X(SyncWait) \
  X(ProcessSpawn) \
  X(ProcessAdopt) \
  X(ProcessSignal) \
  X(ProcessWaitGone) \
  X(ProcessOomScoreAdj) \
  X(ProcessRlimit) \
  X(ProcessWaitExec) \
  X(ProcessScheduler) \
  X(ProcessIoPriority) \
  X(ProcessAffinity) \
  X(ProcessSpawnAffinity) \
  X(GateListen) \
  X(GateOpen) \
  X(NsOpen) \
  X(NsOpenProcess) \
  X(UsernsMap) \
  X(UsernsOpen) \
  X(MountOpenTree) \
  X(ConsoleConnect) \
  X(ConsolePair) \
  X(RootDetach) \
  X(MountIdmap) \
  X(MountOverlay) \
  X(NetMoveDevice) \
  X(CgroupCreate) \
  X(CgroupWrite) \
  X(CgroupOpen) \
  X(CgroupJoin) \
  X(CgroupDevices) \
  X(CgroupFreeze) \
  X(CgroupSignal) \
  X(CgroupRemove) \
  X(CgroupWriteFirst) \
  X(CgroupEnter) \
  X(CgroupDelegate) \
  X(CgroupUpdate) \
  X(CgroupAdopt) \
  X(SystemdStartUnit) \
  X(SystemdSetProperties) \
  X(SystemdStopUnit) \
  X(ResctrlCreate) \
  X(ResctrlWrite) \
  X(ResctrlJoin) \
  X(ResctrlRemove) \
  X(SeccompCompile) \
  X(SeccompListener) \
  X(HookRun) \
  X(PidfdSend) \
  X(FileAppend) \
  X(NotifyListen) \
  X(NotifyForward) \
  X(CriuConnect) \
  X(CriuRequest) \
  X(CriuWait)

#define TSRUN_CONTAINER_STEPS(X) \
  X(SyncSignal) \
  X(SyncWait) \
  X(ProcessFork) \
  X(ProcessSignals) \
  X(ProcessSetsid) \
  X(ProcessStdioOwner) \
  X(ProcessNoNewPrivileges) \
  X(ProcessCwd) \
  X(ProcessLookup) \
  X(ProcessExec) \
  X(FdsCloseOnExec) \
  X(KeyringJoin) \
  X(ProcessPersonality) \
  X(ProcessMemoryPolicy) \
  X(LsmAttribute) \
  X(GateWait) \
  X(NsJoin) \
  X(NsUnshare) \
  X(NsTimeOffsets) \
  X(IdentityBecomeRoot) \
  X(IdentitySet) \
  X(CapsBounding) \
  X(CapsApply) \
  X(MountPropagation) \
  X(RootBind) \
  X(MountFilesystem) \
  X(MountBind) \
  X(MountAttributes) \
  X(RootPivot) \
  X(RootPropagation) \
  X(RootReadonly) \
  X(DeviceCreate) \
  X(DeviceBind) \
  X(FsSymlink) \
  X(FsMkdir) \
  X(PathMask) \
  X(PathReadonly) \
  X(ConsoleOpen) \
  X(SysctlWrite) \
  X(UtsHostname) \
  X(UtsDomainname) \
  X(NetLoopback) \
  X(RootOpen) \
  X(DeviceReopenNull) \
  X(FsLabel) \
  X(SeccompLoad) \
  X(HookRun) \
  X(FdsPlace) \
  X(MountTarget)

} // namespace tsrun::abi
