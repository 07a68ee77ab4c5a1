# Prints the row of one Ruby for crates/rbleak-snapshot/src/layout/table.rs, read
# from the debug information that gdb has loaded: of x86-64, or of wasm32 to be laid
# out anew. Run by script/ruby-layouts.
import os
import runpy
import gdb

# What lays out anew; None: the debug information is of x86-64 itself.
AGAIN = None
if "RUBY_LAYOUT_RULES" in os.environ:
    AGAIN = runpy.run_path(os.environ["RUBY_LAYOUT_RULES"])

# Field of the row: where it is. Of several, the first that this Ruby has.
OFFSETS = [
    ("class_super", ["RClass.super"]),
    ("class_m_tbl", ["RClass.m_tbl"]),
    ("class_ext", ["RClass.ptr"]),
    ("ext_m_tbl", ["rb_classext_struct.m_tbl"]),
    ("ext_const_tbl", ["rb_classext_struct.const_tbl"]),
    ("ext_callable_m_tbl", ["rb_classext_struct.callable_m_tbl"]),
    ("ext_cc_tbl", ["rb_classext_struct.cc_tbl"]),
    ("ext_cvc_tbl", ["rb_classext_struct.cvc_tbl"]),
    ("ext_iv_tbl", ["rb_classext_struct.iv_tbl"]),
    ("ext_iv_ptr", ["rb_classext_struct.iv_ptr"]),
    ("ext_iv_index_tbl", ["rb_classext_struct.iv_index_tbl"]),
    ("ext_classpath", ["rb_classext_struct.classpath"]),
    ("ext_includer", ["rb_classext_struct.includer", "rb_classext_struct.as.iclass.includer"]),
    ("ext_attached", ["rb_classext_struct.as.singleton_class.attached_object"]),
    ("iv_index", ["rb_iv_index_tbl_entry.index"]),
    ("cvc_cref", ["rb_cvar_class_tbl_entry.cref"]),
    ("const_value", ["rb_const_entry_struct.value"]),
    ("const_file", ["rb_const_entry_struct.file"]),
    ("id_capa", ["rb_id_table.capa"]),
    ("id_num", ["rb_id_table.num"]),
    ("id_items", ["rb_id_table.items"]),
    ("item_val", ["rb_id_item.val"]),
    ("st_num", ["st_table.num_entries"]),
    ("st_start", ["st_table.entries_start"]),
    ("st_bound", ["st_table.entries_bound"]),
    ("st_entries", ["st_table.entries"]),
    ("string_len", ["RString.len", "RString.as.embed.len"]),
    ("string_heap_len", ["RString.as.heap.len"]),
    ("string_ptr", ["RString.as.heap.ptr"]),
    ("string_aux", ["RString.as.heap.aux"]),
    ("string_embedded", ["RString.as.embed.ary", "RString.as.ary"]),
    ("array_len", ["RArray.as.heap.len"]),
    ("array_ptr", ["RArray.as.heap.ptr"]),
    ("array_aux", ["RArray.as.heap.aux"]),
    ("array_embedded", ["RArray.as.ary"]),
    ("hash_table", ["RHash.as"]),
    ("hash_ifnone", ["RHash.ifnone"]),
    ("ar_pairs", ["ar_table_struct.pairs"]),
    ("object_numiv", ["RObject.as.heap.numiv"]),
    ("object_ivptr", ["RObject.as.heap.ivptr", "RObject.as.heap.fields"]),
    ("object_embedded", ["RObject.as.ary"]),
    ("struct_len", ["RStruct.as.heap.len"]),
    ("struct_ptr", ["RStruct.as.heap.ptr"]),
    ("struct_embedded", ["RStruct.as.ary"]),
    ("data_ptr", ["RData.data"]),
    ("typed_type", ["RTypedData.type"]),
    ("typed_flag", ["RTypedData.typed_flag"]),
    ("type_name", ["rb_data_type_struct.wrap_struct_name"]),
    ("file_ptr", ["RFile.fptr"]),
    ("io_fd", ["rb_io.fd", "rb_io_t.fd"]),
    ("regexp_src", ["RRegexp.src"]),
    ("match_str", ["RMatch.str"]),
    ("match_regexp", ["RMatch.regexp"]),
    ("symbol_fstr", ["RSymbol.fstr"]),
    ("ment_def", ["rb_method_entry_struct.def"]),
    ("ment_called_id", ["rb_method_entry_struct.called_id"]),
    ("def_body", ["rb_method_definition_struct.body"]),
    ("callcache_cme", ["rb_callcache.cme_"]),
    ("ccs_cme", ["rb_class_cc_entries.cme"]),
    ("ccs_len", ["rb_class_cc_entries.len"]),
    ("ccs_entries", ["rb_class_cc_entries.entries"]),
    ("env_iseq", ["rb_env_t.iseq"]),
    ("env_ep", ["rb_env_t.ep"]),
    ("env_env", ["rb_env_t.env"]),
    ("env_size", ["rb_env_t.env_size"]),
    ("iseq_body", ["rb_iseq_struct.body"]),
    ("body_iseq_size", ["rb_iseq_constant_body.iseq_size"]),
    ("body_encoded", ["rb_iseq_constant_body.iseq_encoded"]),
    ("body_call_data", ["rb_iseq_constant_body.call_data"]),
    ("body_ci_size", ["rb_iseq_constant_body.ci_size"]),
    ("body_is_entries", ["rb_iseq_constant_body.is_entries"]),
    ("body_is_size", ["rb_iseq_constant_body.is_size"]),
    ("body_ic_size", ["rb_iseq_constant_body.ic_size"]),
    ("body_ise_size", ["rb_iseq_constant_body.ise_size"]),
    ("body_ivc_size", ["rb_iseq_constant_body.ivc_size"]),
    ("body_icvarc_size", ["rb_iseq_constant_body.icvarc_size"]),
    ("body_catch_table", ["rb_iseq_constant_body.catch_table"]),
    ("body_pathobj", ["rb_iseq_constant_body.location.pathobj"]),
    ("body_first_line", ["rb_iseq_constant_body.location.first_lineno"]),
    ("catch_size", ["iseq_catch_table.size"]),
    ("catch_entries", ["iseq_catch_table.entries"]),
    ("catch_iseq", ["iseq_catch_table_entry.iseq"]),
    ("vm_objspace", ["rb_vm_struct.objspace", "rb_vm_struct.gc.objspace"]),
    ("vm_mark_object_ary", ["rb_vm_struct.mark_object_ary"]),
    ("vm_top_self", ["rb_vm_struct.top_self"]),
    ("vm_load_path", ["rb_vm_struct.load_path"]),
    ("vm_loaded_features", ["rb_vm_struct.loaded_features"]),
    ("vm_modules", ["rb_vm_struct.defined_module_hash"]),
    ("vm_loading", ["rb_vm_struct.loading_table"]),
    ("vm_overloaded", ["rb_vm_struct.overloaded_cme_table"]),
    ("vm_negative", ["rb_vm_struct.negative_cme_table"]),
    ("vm_shape_list", ["rb_vm_struct.shape_list"]),
    ("vm_global_list", ["rb_vm_struct.global_object_list"]),
    ("objspace_global_list", ["rb_objspace.global_list"]),
    ("objspace_gc_count", ["rb_objspace.profile.count"]),
    ("gc_list_next", ["gc_list.next", "global_object_list.next"]),
    ("gc_list_varptr", ["gc_list.varptr", "global_object_list.varptr"]),
    ("thread_ec", ["rb_thread_struct.ec"]),
    ("ec_vm_stack", ["rb_execution_context_struct.vm_stack"]),
    ("ec_vm_stack_size", ["rb_execution_context_struct.vm_stack_size"]),
    ("ec_cfp", ["rb_execution_context_struct.cfp"]),
    ("ec_local_storage", ["rb_execution_context_struct.local_storage"]),
    ("ec_stack_start", ["rb_execution_context_struct.machine.stack_start"]),
    ("ec_stack_end", ["rb_execution_context_struct.machine.stack_end"]),
    ("cfp_sp", ["rb_control_frame_struct.sp"]),
    ("cfp_iseq", ["rb_control_frame_struct.iseq"]),
    ("cfp_self", ["rb_control_frame_struct.self"]),
    ("cfp_ep", ["rb_control_frame_struct.ep"]),
    ("cfp_block_code", ["rb_control_frame_struct.block_code"]),
    ("fiber_ec", ["rb_fiber_struct.cont.saved_ec"]),
    ("gen_count", ["gen_ivtbl.numiv", "gen_ivtbl.as.shape.numiv"]),
    ("gen_values", ["gen_ivtbl.ivptr", "gen_ivtbl.as.shape.ivptr"]),
    ("global_var", ["rb_global_entry.var"]),
    ("var_data", ["rb_global_variable.data"]),
    ("shape_next_iv", ["rb_shape.next_iv_index", "rb_shape.next_field_index"]),
    ("shape_edge_name", ["rb_shape.edge_name"]),
    ("shape_parent", ["rb_shape.parent_id", "rb_shape.parent_offset"]),
    ("shape_type", ["rb_shape.type"]),
    ("shape_list", ["rb_shape_tree_t.shape_list", "rb_shape_tree.shape_list"]),
]

SIZES = [
    ("class_size", ["RClass"]),
    ("ext_size", ["rb_classext_struct"]),
    ("item_size", ["rb_id_item"]),
    ("hash_size", ["RHash"]),
    ("io_size", ["rb_io", "rb_io_t"]),
    ("def_size", ["rb_method_definition_struct"]),
    ("cc_entry_size", ["rb_class_cc_entries_entry"]),
    ("body_size", ["rb_iseq_constant_body"]),
    ("is_entry_size", ["iseq_inline_storage_entry"]),
    ("catch_entry_size", ["iseq_catch_table_entry"]),
    ("vm_size", ["rb_vm_struct"]),
    ("thread_size", ["rb_thread_struct"]),
    ("ec_size", ["rb_execution_context_struct"]),
    ("cfp_size", ["rb_control_frame_struct"]),
    ("fiber_size", ["rb_fiber_struct"]),
    ("proc_size", ["rb_proc_t"]),
    ("binding_size", ["rb_binding_t"]),
    ("method_size", ["METHOD"]),
    ("ractor_size", ["rb_ractor_struct"]),
    ("shape_size", ["rb_shape"]),
]

# Bits of flags; 0 where there are none.
BITS = [
    ("array_embed_mask", "RARRAY_EMBED_LEN_MASK"),
    ("string_embed_mask", "RSTRING_EMBED_LEN_MASK"),
    ("struct_embed_mask", "RSTRUCT_EMBED_LEN_MASK"),
    ("hash_bound_mask", "RHASH_AR_TABLE_BOUND_MASK"),
    ("hash_st", "RHASH_ST_TABLE_FLAG"),
    ("elts_shared", "RUBY_ELTS_SHARED"),
    ("singleton", "RUBY_FL_SINGLETON"),
    ("proc_default", "RHASH_PROC_DEFAULT"),
    ("undef", "RUBY_Qundef"),
]

# Numbers that are the members' of an enum; 0 where there is no such member.
NUMBERS = [
    ("shape_too_complex", "SHAPE_OBJ_TOO_COMPLEX"),
]


def find_type(name):
    """The type of this name that has fields, be it a struct, a union or a typedef."""
    for prefix in ("struct ", "union ", ""):
        try:
            found = gdb.lookup_type(prefix + name).strip_typedefs()
        except gdb.error:
            continue
        if found.sizeof and found.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return found
    # An array's element that has no name of its own.
    if name == "rb_class_cc_entries_entry":
        outer = find_type("rb_class_cc_entries")
        field = outer and find_field(outer, "entries")
        if field:
            inner = field.type.strip_typedefs()
            return inner.target().strip_typedefs()
    return None


def members(kind):
    """Fields as (name, type, place in bytes)."""
    if AGAIN:
        return AGAIN["fields"](kind)
    return [(field.name, field.type, field.bitpos // 8) for field in kind.fields()]


def find_field(kind, name):
    for field in kind.fields():
        if field.name == name:
            return field
    return None


def find_deep(kind, name):
    """A field, also within parts that have no name."""
    for own, inner, place in members(kind):
        if own == name:
            return place, inner
    for own, inner, place in members(kind):
        inner = inner.strip_typedefs()
        if not own and inner.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            found = find_deep(inner, name)
            if found:
                return place + found[0], found[1]
    return None


def offset(path):
    name, *parts = path.split(".")
    kind = find_type(name)
    total = 0
    for part in parts:
        found = kind is not None and find_deep(kind, part)
        if not found:
            return None
        total += found[0]
        kind = found[1].strip_typedefs()
    return total


def size(name):
    kind = find_type(name)
    if kind is None:
        return None
    return AGAIN["size_of"](kind) if AGAIN else kind.sizeof


def constant(name):
    if AGAIN and name in AGAIN["CONSTANTS"]:
        return AGAIN["CONSTANTS"][name]
    try:
        return int(gdb.parse_and_eval(name))
    except gdb.error:
        return None


def first(function, names):
    return next((value for value in map(function, names) if value is not None), None)


def imemo_names():
    kind = gdb.lookup_type("enum imemo_type")
    names = {field.enumval: field.name.removeprefix("imemo_") for field in kind.fields()}
    return [names.get(number, "") for number in range(16)]


def shown(value):
    return "None" if value is None else f"Some({value})"


version = os.environ["RUBY_VERSION_READ"]
major, minor = version.split(".")[:2]
print(f"    // ruby {version}")
print("    Layout {")
print(f"        version: ({major}, {minor}),")
if AGAIN:
    print(f'        source: "{version}, from wasm32 debug information, laid out for x86-64",')
    print("        checked: Checked::Derived,")
else:
    print(f'        source: "{version}",')
    print("        checked: Checked::Live,")
for field, paths in OFFSETS:
    print(f"        {field}: {shown(first(offset, paths))},")
for field, names in SIZES:
    print(f"        {field}: {shown(first(size, names))},")
for field, name in BITS:
    print(f"        {field}: {hex(constant(name) or 0)},")
for field, name in NUMBERS:
    print(f"        {field}: {constant(name) or 0},")
print(f"        imemo: {imemo_names()!r},".replace("'", '"'))
print("    },")
