"""Confines a render child by the kernel, so that a decoder that was taken over can do little.

Three mechanisms are independent: hard limits, Landlock for files, seccomp for system calls. If a
library or the kernel lacks one, the others still apply, and `gaps` names it.
"""

import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OPEN_FILES = 64
"""The largest number of open files in a child. It uses about 20."""

_PR_SET_NO_NEW_PRIVS = 38

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000
"""The action that refuses a call; its lower bits hold the errno."""
_KILL = 0x80000000
_BAD_ARCHITECTURE, _ALL_THREADS = 2, 4
"""Attributes of a filter: SCMP_FLTATR_ACT_BADARCH and SCMP_FLTATR_CTL_TSYNC."""
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
_INT = 0xFFFFFFFF
"""The bits that the kernel reads of an int argument."""
_CLONE_THREAD = 0x00010000

_REFUSED = (
    # network, and passing of file descriptors
    "socket socketpair connect bind listen accept accept4 sendmsg sendmmsg",
    # other programs and processes
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise",
    "process_mrelease pidfd_open pidfd_getfd pidfd_send_signal kcmp tkill rt_sigqueueinfo",
    "rt_tgsigqueueinfo setpriority ioprio_set sched_setaffinity sched_setscheduler",
    "sched_setparam sched_setattr migrate_pages move_pages",
    # shared memory and queues that outlive the process
    "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open",
    # parts of the kernel that are often attacked
    "io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd keyctl",
    "add_key request_key memfd_create memfd_secret io_setup io_submit",
    # namespaces and mounts
    "unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount",
    "fspick mount_setattr",
    # links, renaming of other pictures' files, devices, access without a path, permissions
    "symlink symlinkat link linkat rename renameat renameat2",
    "mknod mknodat open_by_handle_at name_to_handle_at chmod",
    "fchmod fchmodat fchmodat2 chown fchown lchown fchownat",
)
_REFUSED_OPTIONS = (
    ("prctl", 0, 1),  # PR_SET_PDEATHSIG
    ("prctl", 0, 4),  # PR_SET_DUMPABLE
    ("prctl", 0, 0x59616D61),  # PR_SET_PTRACER
    ("fcntl", 1, 8),  # F_SETOWN chooses a process that gets signals
    ("fcntl", 1, 10),  # F_SETSIG chooses the signal
    ("fcntl", 1, 15),  # F_SETOWN_EX
    ("ioctl", 1, 0x8901),  # FIOSETOWN
    ("ioctl", 1, 0x8902),  # SIOCSPGRP
    ("ioctl", 1, 0x5412),  # TIOCSTI types into the operator's terminal
    ("ioctl", 1, 0x541C),  # TIOCLINUX does so too
)
"""System call, index of the argument, refused value."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of Landlock's system calls, the same on every architecture."""
_ASK_VERSION = 1
_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5
_MAKE_REG, _TRUNCATE = 1 << 8, 1 << 14
_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _TRUNCATE
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Landlock's rights to files, by the version that introduced them (linux/landlock.h)."""
_RIGHTS_OF_FILES = _READ_FILE | _CHANGE | 1 | 1 << 15
"""The rights that a rule for a file may have; others are for folders."""
_TCP = 0b11
"""The rights to bind and to connect."""
_SCOPES = 0b11
"""The scopes of abstract Unix sockets and of signals."""
_READABLE = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"),
    *("/etc/fonts", "/var/cache/fontconfig"),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/dev/urandom", "/dev/zero"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The resources that a confined child may use."""

    folder: Path
    """The only folder in which it may read pictures and write files."""
    address_space_bytes: int
    """The hard limit of its address space."""
    file_bytes: int
    """The largest file that it may write."""


def folder_of(spool: Path | None) -> Path:
    """Return the folder of a child's pictures: the spool, or that of temporary files."""
    return spool or Path(tempfile.gettempdir())


def limit(bounds: Bounds) -> None:
    """Lower the hard limits. A write beyond the largest file size then fails with EFBIG.

    There is no limit of processor time: it would count all pictures of a child together.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for kind, most in (
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        allowed = _at_most(most, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (allowed, allowed))
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _at_most(bounds.address_space_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (_at_most(most, soft), most))


def restrict_files(bounds: Bounds) -> None:
    """Allow access to the folder and to the files that libraries and Python need, by Landlock."""
    version = _landlock_version()
    if version < 1:
        return
    handled = sum(right for since, right in _RIGHTS_BY_VERSION.items() if since <= version)
    attributes = [handled]
    attributes += [_TCP] if version >= 4 else []
    attributes += [_SCOPES] if version >= 6 else []
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = _call(_CREATE_RULESET, packed, len(packed), 0)
    if ruleset < 0:
        return
    for path, rights in _rules(bounds):
        _add_rule(ruleset, path, rights & handled)
    # A rule is for an inode. That of /proc/PID changes when the kernel drops it from its cache, and
    # the child could not read its own size any more. An open folder prevents this.
    os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)
    _forbid_new_privileges()
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def filter_system_calls(_: Bounds) -> None:
    """Make the kernel refuse system calls that no decoder needs, in every thread.

    A call of another instruction set kills the process, because its numbers would pass the filter.
    """
    if (library := _libseccomp()) is None:
        return
    _forbid_new_privileges()
    context = library.seccomp_init(_ALLOW)
    if not context:
        return
    try:
        library.seccomp_attr_set(context, _BAD_ARCHITECTURE, _KILL)
        library.seccomp_attr_set(context, _ALL_THREADS, 1)
        for name, action, comparison in _system_calls():
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1:  # unknown if this libseccomp is older than the system call
                library.seccomp_rule_add_array(
                    context, action, number, len(comparison), (_Comparison * 1)(*comparison)
                )
        library.seccomp_load(context)
    finally:
        library.seccomp_release(context)


MECHANISMS: tuple[Callable[[Bounds], None], ...] = (limit, restrict_files, filter_system_calls)
"""In this order: the filter is last, because it refuses calls that the others need."""


def confine(bounds: Bounds, mechanisms: Sequence[Callable[[Bounds], None]] = MECHANISMS) -> None:
    """Confine this process; this cannot be undone. Only tests leave a mechanism out."""
    if sys.platform == "linux":
        for mechanism in mechanisms:
            mechanism(bounds)


def gaps() -> list[str]:
    """Try an action that each mechanism must refuse; return the reasons for those that do not."""
    found = []
    try:
        for end in socket.socketpair():
            end.close()
        found.append(f"seccomp: {_why_no_filter()}")
    except OSError:
        pass
    try:
        next(Path("/").iterdir())
        found.append(f"Landlock: {_why_no_landlock()}")
    except OSError:
        pass
    return found


def _rules(bounds: Bounds) -> Iterator[tuple[Path, int]]:
    yield bounds.folder, _READ | _CHANGE | _REMOVE_FILE | _MAKE_REG
    yield Path("/dev/null"), _READ | _CHANGE
    yield Path("/proc/self"), _READ | _CHANGE
    for path in map(Path, {*_READABLE, sys.prefix, sys.base_prefix}):
        yield path, _READ
    for path in filter(Path.is_absolute, map(Path, sys.path)):
        if path.is_relative_to(sys.prefix) or path.is_relative_to(sys.base_prefix):
            continue
        yield path, _READ_DIR
        # Only packages: in a checkout there is an .env beside them.
        for package in _packages_in(path):
            yield package, _READ


def _packages_in(path: Path) -> list[Path]:
    try:
        return [each for each in path.iterdir() if (each / "__init__.py").is_file()]
    except OSError:  # a zip file, or a folder that is missing or not readable
        return []


def _add_rule(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not every system has all of these paths
    if not path.is_dir():
        rights &= _RIGHTS_OF_FILES
    _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    os.close(opened)


class _Comparison(ctypes.Structure):
    """scmp_arg_cmp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _system_calls() -> Iterator[tuple[str, int, tuple[_Comparison, ...]]]:
    """Yield the calls that the filter refuses: name, action, condition on an argument."""
    refuse, own = _REFUSE | errno.EPERM, os.getpid()
    for name in " ".join(_REFUSED).split():
        yield name, refuse, ()
    for name, argument, value in _REFUSED_OPTIONS:
        yield name, refuse, (_Comparison(argument, _MASKED_EQUAL, _INT, value),)
    for name in ("kill", "tgkill"):  # abort() signals itself
        yield name, refuse, (_Comparison(0, _NOT_EQUAL, own, 0),)
    yield "prlimit64", refuse, (_Comparison(0, _NOT_EQUAL, 0, 0),)  # of other processes
    # The flags of clone3 are in memory, which a filter cannot read. glibc then falls back to clone.
    yield "clone3", _REFUSE | errno.ENOSYS, ()
    yield "clone", refuse, (_Comparison(0, _MASKED_EQUAL, _CLONE_THREAD, 0),)


@cache
def _libseccomp() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_rule_add_array.argtypes = (
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    )
    for name in ("seccomp_load", "seccomp_release"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
    return library


def _why_no_filter() -> str:
    if _libseccomp() is None:
        return "libseccomp.so.2 is not installed"
    return "the kernel accepted no filter"


def _why_no_landlock() -> str:
    if _landlock_version() < 1:
        return "missing or switched off in the kernel (it needs Linux 5.13)"
    return "the kernel accepted no rules"


def _landlock_version() -> int:
    return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def _forbid_new_privileges() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call for which libc has no function; -1 if the kernel refuses it."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    return int(syscall(ctypes.c_long(number), *wide))


def _at_most(wanted: int, limit: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)
