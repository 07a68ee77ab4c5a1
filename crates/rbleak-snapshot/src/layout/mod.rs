//! Where things lie in the memory of each Ruby: offsets and sizes in bytes, as
//! the table has them by minor version. `script/ruby-layouts` makes it from Ruby's
//! sources, or from a build for wasm32; what no debug information tells is in the
//! decoders.

mod table;

/// An offset or a size; `None`: this Ruby has no such thing.
pub(crate) type Field = Option<u64>;

/// How far a row is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// What it reads was held against what live Rubies of that version say.
    Live,
    /// It was derived from debug information of another machine's build, in a way
    /// that gives the rows of other versions as their sources do. No live Ruby of
    /// that version was at hand.
    Derived,
}

/// One minor version. Fields are named by struct and member as Ruby names them,
/// `ext` is `rb_classext_struct`, `ccs` `rb_class_cc_entries`, `ar` and `st` are
/// the two kinds of tables of a Hash, `id` is `rb_id_table`, `gen` the table of
/// instance variables of objects that have no place for them.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) version: (u32, u32),
    /// The release that the row was read from.
    pub(crate) source: &'static str,
    pub(crate) checked: Checked,
    pub(crate) class_super: Field,
    pub(crate) class_m_tbl: Field,
    pub(crate) class_ext: Field,
    pub(crate) ext_m_tbl: Field,
    pub(crate) ext_const_tbl: Field,
    pub(crate) ext_callable_m_tbl: Field,
    pub(crate) ext_cc_tbl: Field,
    pub(crate) ext_cvc_tbl: Field,
    pub(crate) ext_iv_tbl: Field,
    pub(crate) ext_iv_ptr: Field,
    pub(crate) ext_iv_index_tbl: Field,
    pub(crate) ext_classpath: Field,
    pub(crate) ext_includer: Field,
    pub(crate) ext_attached: Field,
    pub(crate) iv_index: Field,
    pub(crate) cvc_cref: Field,
    pub(crate) const_value: Field,
    pub(crate) const_file: Field,
    pub(crate) id_capa: Field,
    pub(crate) id_num: Field,
    pub(crate) id_items: Field,
    pub(crate) item_val: Field,
    pub(crate) st_num: Field,
    pub(crate) st_start: Field,
    pub(crate) st_bound: Field,
    pub(crate) st_entries: Field,
    pub(crate) string_len: Field,
    pub(crate) string_heap_len: Field,
    pub(crate) string_ptr: Field,
    pub(crate) string_aux: Field,
    pub(crate) string_embedded: Field,
    pub(crate) array_len: Field,
    pub(crate) array_ptr: Field,
    pub(crate) array_aux: Field,
    pub(crate) array_embedded: Field,
    pub(crate) hash_table: Field,
    pub(crate) hash_ifnone: Field,
    pub(crate) ar_pairs: Field,
    pub(crate) object_numiv: Field,
    pub(crate) object_ivptr: Field,
    pub(crate) object_embedded: Field,
    pub(crate) struct_len: Field,
    pub(crate) struct_ptr: Field,
    pub(crate) struct_embedded: Field,
    pub(crate) data_ptr: Field,
    pub(crate) typed_type: Field,
    pub(crate) typed_flag: Field,
    pub(crate) type_name: Field,
    pub(crate) file_ptr: Field,
    pub(crate) io_fd: Field,
    pub(crate) regexp_src: Field,
    pub(crate) match_str: Field,
    pub(crate) match_regexp: Field,
    pub(crate) symbol_fstr: Field,
    pub(crate) ment_def: Field,
    pub(crate) ment_called_id: Field,
    pub(crate) def_body: Field,
    pub(crate) callcache_cme: Field,
    pub(crate) ccs_cme: Field,
    pub(crate) ccs_len: Field,
    pub(crate) ccs_entries: Field,
    pub(crate) env_iseq: Field,
    pub(crate) env_ep: Field,
    pub(crate) env_env: Field,
    pub(crate) env_size: Field,
    pub(crate) iseq_body: Field,
    pub(crate) body_iseq_size: Field,
    pub(crate) body_encoded: Field,
    pub(crate) body_call_data: Field,
    pub(crate) body_ci_size: Field,
    pub(crate) body_is_entries: Field,
    pub(crate) body_is_size: Field,
    pub(crate) body_ic_size: Field,
    pub(crate) body_ise_size: Field,
    pub(crate) body_ivc_size: Field,
    pub(crate) body_icvarc_size: Field,
    pub(crate) body_catch_table: Field,
    pub(crate) body_pathobj: Field,
    pub(crate) body_first_line: Field,
    pub(crate) catch_size: Field,
    pub(crate) catch_entries: Field,
    pub(crate) catch_iseq: Field,
    pub(crate) vm_objspace: Field,
    pub(crate) vm_mark_object_ary: Field,
    pub(crate) vm_top_self: Field,
    pub(crate) vm_load_path: Field,
    pub(crate) vm_loaded_features: Field,
    pub(crate) vm_modules: Field,
    pub(crate) vm_loading: Field,
    pub(crate) vm_overloaded: Field,
    pub(crate) vm_negative: Field,
    pub(crate) vm_shape_list: Field,
    pub(crate) vm_global_list: Field,
    pub(crate) objspace_global_list: Field,
    pub(crate) objspace_gc_count: Field,
    pub(crate) gc_list_next: Field,
    pub(crate) gc_list_varptr: Field,
    pub(crate) thread_ec: Field,
    pub(crate) ec_vm_stack: Field,
    pub(crate) ec_vm_stack_size: Field,
    pub(crate) ec_cfp: Field,
    pub(crate) ec_local_storage: Field,
    pub(crate) ec_stack_start: Field,
    pub(crate) ec_stack_end: Field,
    pub(crate) cfp_sp: Field,
    pub(crate) cfp_iseq: Field,
    pub(crate) cfp_self: Field,
    pub(crate) cfp_ep: Field,
    pub(crate) cfp_block_code: Field,
    pub(crate) fiber_ec: Field,
    pub(crate) gen_count: Field,
    pub(crate) gen_values: Field,
    pub(crate) global_var: Field,
    pub(crate) var_data: Field,
    pub(crate) shape_next_iv: Field,
    pub(crate) shape_edge_name: Field,
    pub(crate) shape_parent: Field,
    pub(crate) shape_type: Field,
    pub(crate) shape_list: Field,
    // Sizes.
    pub(crate) class_size: Field,
    pub(crate) ext_size: Field,
    pub(crate) item_size: Field,
    pub(crate) hash_size: Field,
    pub(crate) io_size: Field,
    pub(crate) def_size: Field,
    pub(crate) cc_entry_size: Field,
    pub(crate) body_size: Field,
    pub(crate) is_entry_size: Field,
    pub(crate) catch_entry_size: Field,
    pub(crate) vm_size: Field,
    pub(crate) thread_size: Field,
    pub(crate) ec_size: Field,
    pub(crate) cfp_size: Field,
    pub(crate) fiber_size: Field,
    pub(crate) proc_size: Field,
    pub(crate) binding_size: Field,
    pub(crate) method_size: Field,
    pub(crate) ractor_size: Field,
    pub(crate) shape_size: Field,
    // Bits of flags, and what stands for no value.
    pub(crate) array_embed_mask: u64,
    pub(crate) string_embed_mask: u64,
    pub(crate) struct_embed_mask: u64,
    pub(crate) hash_bound_mask: u64,
    pub(crate) hash_st: u64,
    pub(crate) elts_shared: u64,
    pub(crate) singleton: u64,
    pub(crate) proc_default: u64,
    pub(crate) undef: u64,
    /// The type of the shape of objects that have a table instead.
    pub(crate) shape_too_complex: u8,
    /// Names of the types of IMEMO, by number.
    pub(crate) imemo: [&'static str; 16],
}

impl Layout {
    /// The row of a version.
    pub(crate) fn of(version: (u32, u32)) -> Option<&'static Layout> {
        table::LAYOUTS.iter().find(|row| row.version == version)
    }

    /// The versions that there are rows of.
    pub(crate) fn versions() -> impl Iterator<Item = (u32, u32)> {
        table::LAYOUTS.iter().map(|row| row.version)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checked, Layout};
    use std::io::Read;
    use std::path::Path;

    fn dump(name: &str) -> Vec<serde_json::Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/dumps/3.2");
        let file = std::fs::File::open(path.join(name)).expect("a fixture");
        let mut text = String::new();
        let mut whole = zstd::Decoder::new(file).expect("Zstandard");
        whole.read_to_string(&mut text).expect("text");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// What objects of a kind take beside their slots, by Ruby's own account.
    fn beside(dump: &[serde_json::Value], key: &str, value: &str) -> Vec<Option<u64>> {
        let of_kind = dump.iter().filter(|line| line[key] == value);
        of_kind
            .map(|line| Some(line["memsize"].as_u64()? - line["slot_size"].as_u64()?))
            .collect()
    }

    /// The layout of 3.2 was never held against a live one, but a real 3.2.11 has told
    /// how large some of its structs are.
    #[test]
    fn sizes_of_3_2_are_those_that_a_real_one_tells() {
        let row = Layout::of((3, 2)).expect("a row");
        assert_eq!(row.checked, Checked::Derived);
        let full = dump("full.ndjson.zst");
        for (kind, size) in [
            ("proc", row.proc_size),
            ("binding", row.binding_size),
            ("method", row.method_size),
        ] {
            let told = beside(&full, "struct", kind);
            assert!(!told.is_empty(), "{kind}");
            assert!(told.iter().all(|it| *it == size), "{kind}: {told:?}");
        }
        // Others have buffers, stacks and variables of their own.
        for (key, kind, size) in [
            ("struct", "VM/thread", row.thread_size),
            ("type", "FILE", row.io_size),
        ] {
            let told = beside(&full, key, kind);
            assert!(told.contains(&size), "{kind}: {told:?}");
        }
        // A class and what it has more are in one slot of 160 bytes.
        let class = row.class_size.zip(row.ext_size);
        assert!(class.is_some_and(|(own, more)| (81..=160).contains(&(own + more))));
        let classes = full.iter().filter(|line| line["type"] == "CLASS");
        assert!(classes.clone().count() > 100);
        assert!(classes.into_iter().all(|line| line["slot_size"] == 160));
    }

    /// Shapes lie one after another, and a dump has their addresses.
    #[test]
    fn shapes_of_3_2_lie_where_a_real_one_has_them() {
        let row = Layout::of((3, 2)).expect("a row");
        let shapes: Vec<(u64, u64)> = dump("shapes.ndjson.zst")
            .iter()
            .filter(|line| line["type"] == "SHAPE")
            .filter_map(|line| {
                let address = line["address"].as_str()?.strip_prefix("0x")?;
                let address = u64::from_str_radix(address, 16).ok()?;
                Some((line["id"].as_u64()?, address))
            })
            .collect();
        assert!(shapes.len() > 100, "{}", shapes.len());
        let size = row.shape_size.expect("it has shapes");
        let (first, start) = shapes[0];
        assert_eq!(first, 0);
        for (id, address) in shapes {
            assert_eq!(address, start + id * size, "{id}");
        }
    }
}
