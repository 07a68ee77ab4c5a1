# Lays out anew, for x86-64 Linux, what the debug information of a Ruby for wasm32
# says of its structs. Run by script/ruby-layouts.py.
#
# The debug information has the members of each struct, in order, with their types;
# the System V ABI says where they lie, and is wasm32's as well. What differs by more
# than the width of words is in the rules below, each with its reason. Attributes
# (packed, aligned) are not in debug information: so each struct is laid out for
# wasm32 first, and has to come out as it is there. Where it does not, its fields are
# refused.
import os
import gdb

VERSION = tuple(int(part) for part in os.environ["RUBY_VERSION_READ"].split(".")[:2])
STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
POINTERS = (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_FUNC)
LONGS = ("long", "unsigned long", "long int", "long unsigned int")

# Types that are others on x86-64 Linux, by their names: size, alignment.
OTHERS = {
    # SIZEOF_SHAPE_T and SHAPE_IN_BASIC_FLAGS: half of 64 bits of flags, not of 32.
    "attr_index_t": (4, 4),
    "shape_id_t": (4, 4),
    # Of thread_pthread.h in thread_none.h's place, and glibc.
    "rb_nativethread_lock_t": (40, 8),
    "rb_nativethread_cond_t": (48, 8),
    # glibc's: eight registers, an int, 1024 signals.
    "jmp_buf": (200, 8),
    # The compiler's own: five words.
    "rb_jmpbuf_t": (40, 8),
    # coroutine/amd64: where its stack is, and its argument.
    "coroutine_context": (16, 8),
}
# What thread_none.h has nothing in, and thread_pthread.h has.
if VERSION == (3, 2):
    # A union of two nodes of lists; a lock, two conditions and a list with the rest.
    OTHERS["rb_thread_sched_item"] = (16, 8)
    OTHERS["rb_thread_sched"] = (184, 8)
elif VERSION in ((3, 3), (3, 4)):
    # Five nodes, what is waited for, two bools, two pointers; a lock and two lists.
    OTHERS["rb_thread_sched_item"] = (144, 8)
    OTHERS["rb_thread_sched"] = (96, 8)

# PACKED_STRUCT_UNALIGNED: packed where words may lie anywhere, as on x86-64.
PACKED = {"iseq_catch_table", "rb_io_buffer_t", "rb_io_internal_buffer"}

# Members that x86-64 Linux has not, of a struct that has the other one: all of them
# are within #ifndef RUBY_THREAD_PTHREAD_H.
WITHOUT = set()
if VERSION in ((3, 3), (3, 4)):
    WITHOUT = {
        ("barrier_waiting", "terminate_waiting"),
        ("barrier_cnt", "terminate_waiting"),
        ("barrier_cond", "terminate_waiting"),
        ("cond", "recv_queue"),
    }
# Where shapes have no place in flags they are members.
WITHOUT |= {("shape_id", "numiv"), ("shape_id", "as"), ("shape_id", "const_tbl")}

# Lists that are longer.
COUNTS = {}
if VERSION == (3, 2):
    # SIZE_POOL_COUNT, 1 on 32 bits: and with more than one, what a class has more is
    # behind it in its slot (RCLASS_EXT_EMBEDDED).
    COUNTS = {"size_pools": 5, "size_pool_caches": 5}
    WITHOUT.add(("ptr", "m_tbl"))

# Members that only x86-64 Linux has: struct, the member that follows (none: it is
# the last), size.
ADDED = [
    # USE_SIGALTSTACK: main_altstack.
    ("rb_vm_struct", "fork_gen", 8),
]
if VERSION in ((3, 2), (3, 3), (3, 4)):
    # USE_MJIT, USE_RJIT: the code, how often it was called, its blocks.
    ADDED.append(("rb_iseq_constant_body", None, 24))

# USE_FLONUM: other numbers stand for nil, true and no value, in all versions that
# were built for wasm32.
CONSTANTS = {"RUBY_Qundef": 0x24}


class Refused(Exception):
    """A struct that cannot be laid out by the rules."""


def layout_of(kind, is_wide):
    """Size and alignment of a type, for x86-64 or for wasm32."""
    name = kind.name
    if is_wide and name in OTHERS:
        return OTHERS[name]
    code = kind.code
    if code == gdb.TYPE_CODE_TYPEDEF:
        if is_wide and name in PACKED:
            return laid_out(kind.strip_typedefs(), True, True)[1:]
        return layout_of(kind.target(), is_wide)
    if code in POINTERS:
        return (8, 8) if is_wide else (4, 4)
    if code == gdb.TYPE_CODE_ARRAY:
        size, align = layout_of(kind.target(), is_wide)
        low, high = kind.range()
        # One without an end takes no room.
        return size * (high - low + 1 if kind.sizeof else 0), align
    if code in STRUCTS:
        return laid_out(kind, is_wide)[1:]
    if is_wide and name and name.replace("const ", "").replace("volatile ", "") in LONGS:
        return 8, 8
    return kind.sizeof, kind.sizeof


def laid_out(kind, is_wide, is_packed=False):
    """The members of a struct or union as (name, type, place in bits), its size and
    its alignment."""
    is_packed = is_packed or is_wide and kind.name in PACKED
    is_union = kind.code == gdb.TYPE_CODE_UNION
    own = {field.name for field in kind.fields()}
    # An end, a width, a length: in bits.
    at, widest, most = 0, 1, 0
    members = []

    def add_before(follows):
        nonlocal at, widest, most
        for owner, before, size in ADDED:
            if is_wide and owner == kind.name and before == follows:
                at = rounded(at, 64) + size * 8
                widest, most = max(widest, 8), max(most, at)

    for field in kind.fields():
        if is_wide and any((field.name, other) in WITHOUT for other in own):
            continue
        add_before(field.name)
        if is_union:
            at = 0
        size, align = layout_of(field.type, is_wide)
        if is_wide and field.name in COUNTS:
            size = layout_of(field.type.target(), True)[0] * COUNTS[field.name]
        align = 1 if is_packed else align
        if field.bitsize:
            # It lies within one unit of its type.
            if at // (size * 8) != (at + field.bitsize - 1) // (size * 8):
                at = rounded(at, size * 8)
            place, after = at, at + field.bitsize
        else:
            place = rounded(at, align * 8)
            after = place + size * 8
        members.append((field.name, field.type, place))
        at = after
        most, widest = max(most, after), max(widest, align)
    add_before(None)
    size = rounded(most, widest * 8) // 8
    if not is_wide:
        found = [(field.name, field.bitpos) for field in kind.fields()]
        made = [(name, place) for name, _, place in members]
        if found != made or size != kind.sizeof:
            raise Refused(f"{kind.name} is {found}, {kind.sizeof}, not {made}, {size}")
    return members, size, widest


def rounded(number, unit):
    return -(-number // unit) * unit


def fields(kind):
    """Members as (name, type, place in bytes)."""
    laid_out(kind, False)
    return [(name, inner, place // 8) for name, inner, place in laid_out(kind, True)[0]]


def size_of(kind):
    laid_out(kind, False)
    return laid_out(kind, True)[1]
