//! What is asked of the heap, in words and rows. What takes a walk over the
//! heap is worked out when it is first asked for.

use crate::commands::place;
use rbleak_heap::graph::{Dominator, Dominators, Layer, Place, Places, Total};
use rbleak_heap::trace::{Paths, root_in_words};
use rbleak_heap::{GroupBy, Heap, Names, ObjectId};
use rbleak_units::{Address, Bytes, grouped};
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Steps of a place told at most.
const MAX_STEPS: usize = 4;

/// See the module.
pub(crate) struct Model<'a> {
    dominators: &'a Dominators<'a>,
    names: &'a Names,
    places: Places<'a>,
    paths: OnceCell<Paths<'a>>,
    classes: OnceCell<Vec<Total<'a>>>,
    whole: Bytes,
}

/// A line of what an object refers to, or of what refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// `None` for a heading and for roots.
    pub(crate) id: Option<ObjectId>,
    pub(crate) text: String,
}

/// Objects that were searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) title: String,
    pub(crate) ids: Vec<ObjectId>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(dominators: &'a Dominators<'a>, names: &'a Names) -> Model<'a> {
        Model {
            dominators,
            names,
            places: Places::new(dominators),
            paths: OnceCell::new(),
            classes: OnceCell::new(),
            whole: dominators.retained_by(Dominator::Roots),
        }
    }

    pub(crate) fn heap(&self) -> &'a Heap {
        self.dominators.heap()
    }

    /// The objects on top of the tree, the largest first.
    pub(crate) fn top(&self) -> Vec<ObjectId> {
        self.dominators.top()
    }

    /// What an object dominates directly, the largest first.
    pub(crate) fn children(&self, id: ObjectId) -> Vec<ObjectId> {
        self.dominators.largest_children(id)
    }

    /// Whether an object dominates any other.
    pub(crate) fn has_children(&self, id: ObjectId) -> bool {
        let mut children = self.dominators.children(Dominator::Object(id));
        children.next().is_some()
    }

    pub(crate) fn retained(&self, id: ObjectId) -> Bytes {
        self.dominators.retained_size(id)
    }

    pub(crate) fn own(&self, id: ObjectId) -> Bytes {
        self.dominators.own_size(id)
    }

    /// Of all that is reached, in percent.
    pub(crate) fn percent(&self, bytes: Bytes) -> String {
        let share = bytes.as_f64() / self.whole.as_f64().max(1.0);
        format!("{:.1} %", share * 100.0)
    }

    /// An object in the tree: below another by its edge, on top by its place.
    pub(crate) fn in_tree(&self, above: Option<ObjectId>, id: ObjectId) -> String {
        let Some(above) = above else {
            return words(&self.places.place(Dominator::Object(id)));
        };
        let edge = self.places.edge(above, id);
        let name = self.places.name(id).map(str::to_owned).or(edge);
        let parts = [name, Some(self.places.object(id))];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// An object in a list: its name if it has one, its address and line.
    pub(crate) fn in_list(&self, id: ObjectId) -> String {
        let heap = self.heap();
        let parts = [
            Some(self.places.object(id)),
            Some(heap.address(id).to_string()),
            self.places.name(id).map(str::to_owned),
            place(heap, id),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
    }

    /// Classes by what they retain.
    pub(crate) fn classes(&self) -> &[Total<'a>] {
        self.classes
            .get_or_init(|| self.dominators.totals(GroupBy::Class))
    }

    /// The objects of a class (and type) of [`Model::classes`].
    pub(crate) fn of_class(&self, index: usize) -> Found {
        let heap = self.heap();
        let Some(Total { key, .. }) = self.classes().get(index) else {
            return Found::default();
        };
        let title = key.class.unwrap_or("(no class)").to_owned();
        let is_it = |id: ObjectId| {
            Some(heap.object_type(id)) == key.object_type && Some(heap.class_name(id)) == key.class
        };
        self.found(title, &self.by_class(is_it))
    }

    /// Label and text of what is known of an object without a walk.
    pub(crate) fn details(&self, id: ObjectId) -> Vec<(&'static str, String)> {
        let heap = self.heap();
        let retained = self.retained(id);
        let mut lines = vec![
            ("object", self.places.object(id)),
            ("address", heap.address(id).to_string()),
            ("type", heap.object_type(id).to_string()),
            ("class", heap.class_name(id).to_owned()),
        ];
        if let Some(name) = self.places.name(id) {
            lines.push(("name", name.to_owned()));
        }
        lines.push(("own", self.own(id).to_string()));
        lines.push((
            "retained",
            format!("{retained}, {}", self.percent(retained)),
        ));
        if let Some(length) = heap.length(id) {
            lines.push(("length", grouped(length)));
        }
        if let Some(count) = heap.ivar_count(id) {
            lines.push(("ivars", grouped(count)));
        }
        let references = heap.references(id).len() as u64;
        lines.push(("refers to", grouped(references)));
        if let Some(point) = self.dominators.accumulation_point(id) {
            let text = match point == id {
                true => "here".to_owned(),
                false => self.in_list(point),
            };
            lines.push(("gathers", text));
        }
        lines.push(("dominator", self.dominator(id)));
        lines.push(("line", place(heap, id).unwrap_or("(not known)".to_owned())));
        if let Some(generation) = heap.generation(id) {
            lines.push(("generation", generation.to_string()));
        }
        let reached = match self.dominators.layer(id) {
            Layer::Program => "roots and objects",
            Layer::Threads => "stacks of threads only",
            Layer::Caches => "inline caches only",
            Layer::MachineStack => "the C stack only",
            Layer::Measuring => "the measuring only",
            Layer::Unreached => "nothing: garbage",
        };
        lines.push(("reached by", reached.to_owned()));
        lines
    }

    fn dominator(&self, id: ObjectId) -> String {
        match self.dominators.immediate_dominator(id) {
            None => "none".to_owned(),
            Some(Dominator::Roots) => "several roots".to_owned(),
            Some(Dominator::Root(index)) => {
                root_in_words(&self.heap().roots()[index].name).to_owned()
            }
            Some(Dominator::Object(above)) => self.in_list(above),
        }
    }

    /// What an object refers to and what refers to it: a walk over the heap.
    pub(crate) fn neighbours(&self, id: ObjectId) -> Vec<Neighbour> {
        let heap = self.heap();
        let down = self.dominators.references_of(id);
        let up = self.dominators.referrers_of(id);
        let mut lines = vec![heading("refers to", down.references.len())];
        let special = |word: &str, id: ObjectId| self.neighbour(Some(word.to_owned()), id, 1);
        lines.extend(heap.class_id(id).map(|class| special("class", class)));
        let superclasses = down.superclasses.iter();
        lines.extend(superclasses.map(|&above| special("superclass", above)));
        for &(target, times) in &down.references {
            lines.push(self.neighbour(self.places.edge(id, target), target, times));
        }
        lines.push(heading("referred to by", up.references.len()));
        for &index in &up.roots {
            let root = root_in_words(&heap.roots()[index].name);
            lines.push(Neighbour {
                id: None,
                text: format!("           root {root}"),
            });
        }
        for &(source, times) in &up.references {
            lines.push(self.neighbour(self.places.edge(source, id), source, times));
        }
        let subclasses = up.superclasses.iter();
        lines.extend(subclasses.map(|&below| special("superclass of", below)));
        if up.instances > 0 {
            lines.push(heading("instances", up.instances as usize));
        }
        lines
    }

    fn neighbour(&self, edge: Option<String>, id: ObjectId, times: u32) -> Neighbour {
        let retained = self.retained(id).to_string();
        let mut text = format!("{retained:>9}  ");
        if let Some(edge) = edge {
            text.push_str(&edge);
            text.push(' ');
        }
        text.push_str(&self.in_list(id));
        if times > 1 {
            text.push_str(&format!("  × {}", grouped(u64::from(times))));
        }
        Neighbour { id: Some(id), text }
    }

    /// The shortest way to an object, a line a step.
    pub(crate) fn path(&self, id: ObjectId) -> Vec<String> {
        let paths = self
            .paths
            .get_or_init(|| Paths::new(self.heap(), self.names));
        let Some(path) = paths.to(id) else {
            return vec!["No root leads to it: garbage when the dump was taken.".to_owned()];
        };
        let mut lines = vec![path.name.to_string()];
        for (depth, (id, step)) in path.steps.iter().enumerate() {
            let edge = step.edge.as_ref().map(|edge| format!("{edge} → "));
            lines.push(format!(
                "{}└ {}{}  {}",
                "  ".repeat(depth.min(20)),
                edge.unwrap_or_default(),
                step.object,
                self.heap().address(*id)
            ));
        }
        lines
    }

    /// Objects by address, by name, by `FILE:LINE`, by a part of the class's
    /// name or of the file's path; the largest first. A sentence if there are
    /// none.
    pub(crate) fn search(&self, text: &str) -> Result<Found, String> {
        let heap = self.heap();
        let text = text.trim();
        if text.starts_with("0x") {
            let address: Address = text.parse().map_err(|error| format!("{text} is {error}"))?;
            let id = heap.find(address).filter(|&id| heap.is_live(id));
            let id = id.ok_or_else(|| format!("no object at {address}"))?;
            return Ok(self.found(text.to_owned(), &[id]));
        }
        let named = self.names.find(text).into_iter();
        let mut ids: Vec<ObjectId> = named.filter_map(|at| heap.find(at)).collect();
        if ids.is_empty()
            && let Some((file, line)) = text.rsplit_once(':')
            && let Ok(line) = line.parse::<u32>()
        {
            ids = self.by_site(|site, at| at == line && site.ends_with(file));
        } else if ids.is_empty() {
            let wanted = text.to_lowercase();
            let has = |name: &str| name.to_lowercase().contains(&wanted);
            ids = self.by_class(|id| has(heap.class_name(id)));
            if ids.is_empty() {
                ids = self.by_site(|site, _| has(site));
            }
        }
        match ids.is_empty() || text.is_empty() {
            true => Err(format!("nothing is found for {text}")),
            false => Ok(self.found(text.to_owned(), &ids)),
        }
    }

    /// `is_it` is asked once for each class and type.
    fn by_class(&self, is_it: impl Fn(ObjectId) -> bool) -> Vec<ObjectId> {
        let heap = self.heap();
        let mut known = HashMap::new();
        let mut ids: Vec<ObjectId> = heap.ids().collect();
        ids.retain(|&id| {
            let class = (heap.object_type(id), heap.class_name(id).as_ptr());
            heap.is_live(id) && *known.entry(class).or_insert_with(|| is_it(id))
        });
        ids
    }

    /// `is_it` is asked once for each site.
    fn by_site(&self, is_it: impl Fn(&str, u32) -> bool) -> Vec<ObjectId> {
        let heap = self.heap();
        let mut known = HashMap::new();
        let mut ids: Vec<ObjectId> = heap.ids().collect();
        ids.retain(|&id| {
            heap.is_live(id)
                && heap.site(id).is_some_and(|site| {
                    *known.entry(site).or_insert_with(|| {
                        let info = heap.site_info(site);
                        is_it(info.file, info.line)
                    })
                })
        });
        ids
    }

    fn found(&self, title: String, ids: &[ObjectId]) -> Found {
        let heap = self.heap();
        let mut ids = ids.to_vec();
        ids.sort_by_cached_key(|&id| (Reverse(self.retained(id)), heap.address(id)));
        Found { title, ids }
    }
}

fn heading(text: &str, count: usize) -> Neighbour {
    Neighbour {
        id: None,
        text: format!("{text} ({})", grouped(count as u64)),
    }
}

/// `Leaky::STORE → Array (1 500)`.
fn words(place: &Place) -> String {
    let steps = place.steps.iter().map(|step| match &step.edge {
        Some(edge) => format!("{edge} {}", step.object),
        None => step.object.clone(),
    });
    let steps: Vec<String> = steps.collect();
    let cut = steps.len().saturating_sub(MAX_STEPS);
    let mut parts = vec![place.name.clone()];
    parts.extend((cut > 0).then(|| "…".to_owned()));
    parts.extend(steps.into_iter().skip(cut));
    parts.join(" → ")
}
