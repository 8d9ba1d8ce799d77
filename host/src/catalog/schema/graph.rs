//! Which subschema applies which others, to the same value or to a member of it.

use std::collections::HashMap;

use super::target::Places;
use crate::json::Value;

/// References and applicators one after the other, on the way into a schema: a validator's stack grows with each.
const STEPS_MAX: usize = 500;

/// The same, for one value.
const STEPS_IN_PLACE_MAX: usize = 64;

/// Subschemas of which one is applied: several where it is not certain to which a reference leads.
type Either = Vec<usize>;

#[derive(Default)]
struct Node {
    /// Applied to the same value.
    here: Vec<Either>,
    /// How often those are applied: `unevaluated…` asks them once more.
    times: u64,
    /// Applied to any member of the value.
    every: Vec<Either>,
    /// Applied to members of their own: each to others than the rest.
    one: Vec<Either>,
}

/// The subschemas of a schema; the first is the schema.
pub(super) struct Graph {
    nodes: Vec<Node>,
    /// Those that are applied to the same value come before the ones that apply them.
    order: Vec<usize>,
    /// Bytes of the longest text of the schema that an error copies.
    pub(super) quoted: u64,
}

impl Graph {
    /// Reads a schema.
    ///
    /// # Errors
    /// When its references go round in place, or lead on for too long.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let mut reader = Reader { places: Places::of(schema)?, found: HashMap::new(), queue: Vec::new(), quoted: 0 };
        reader.node(schema);
        let mut nodes = Vec::new();
        while let Some(value) = reader.queue.get(nodes.len()).copied() {
            nodes.push(reader.read(value));
        }
        let mut graph = Self { nodes, order: Vec::new(), quoted: reader.quoted };
        graph.order = graph.walk(STEPS_IN_PLACE_MAX, true)?;
        graph.walk(STEPS_MAX, false)?;
        Ok(graph)
    }

    /// Visits every subschema once, depth first, and returns them after those they lead to.
    fn walk(&self, steps_max: usize, in_place: bool) -> Result<Vec<usize>, String> {
        let next = |at: usize| -> Vec<usize> {
            let Some(node) = self.nodes.get(at) else { return Vec::new() };
            let below = node.every.iter().chain(&node.one).filter(|_| !in_place);
            node.here.iter().chain(below).flatten().copied().collect()
        };
        let mut height: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut open = vec![false; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        for start in 0..self.nodes.len() {
            if height.get(start).copied().flatten().is_some() {
                continue;
            }
            let mut path = vec![(start, next(start))];
            set(&mut open, start, true);
            while let Some((at, rest)) = path.last_mut() {
                let at = *at;
                if let Some(to) = rest.pop() {
                    let seen = height.get(to).copied().flatten().is_some();
                    match (seen, open.get(to) == Some(&true)) {
                        (true, _) => {}
                        (false, true) if in_place => {
                            return Err("a reference of it leads back to itself for the same value".into());
                        }
                        (false, true) => {}
                        (false, false) => {
                            set(&mut open, to, true);
                            path.push((to, next(to)));
                        }
                    }
                } else {
                    path.pop();
                    let below = next(at).into_iter().filter_map(|to| height.get(to).copied().flatten()).max();
                    set(&mut height, at, Some(below.map_or(0, |below| below.saturating_add(1))));
                    order.push(at);
                }
                if path.len() > steps_max {
                    return Err(format!("its references lead on for more than {steps_max} steps"));
                }
            }
        }
        let highest = height.iter().flatten().copied().max().unwrap_or(0);
        if in_place && highest > steps_max {
            return Err(format!("its references lead on for more than {steps_max} steps"));
        }
        Ok(order)
    }

    /// How many subschemas are applied to one value, by its level.
    pub(super) fn applied(&self, levels: usize) -> Vec<u64> {
        let mut above: Vec<u64> = vec![0; self.nodes.len()];
        let mut all = Vec::with_capacity(levels);
        for level in 0..levels {
            let mut now: Vec<u64> = vec![0; self.nodes.len()];
            for at in &self.order {
                let Some(node) = self.nodes.get(*at) else { continue };
                let own = u64::from(level == 0);
                let here = sum(&node.here, &now).saturating_mul(node.times);
                let one = node.one.iter().map(|either| most(either, &above)).max().unwrap_or(0);
                let applied = own.saturating_add(here).saturating_add(sum(&node.every, &above)).saturating_add(one);
                set(&mut now, *at, applied);
            }
            all.push(now.first().copied().unwrap_or(0));
            above = now;
        }
        all
    }
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}

fn most(either: &[usize], applied: &[u64]) -> u64 {
    either.iter().filter_map(|at| applied.get(*at)).copied().max().unwrap_or(0)
}

fn sum(all: &[Either], applied: &[u64]) -> u64 {
    all.iter().fold(0, |sum, either| sum.saturating_add(most(either, applied)))
}

struct Reader<'a> {
    places: Places<'a>,
    found: HashMap<*const Value, usize>,
    queue: Vec<&'a Value>,
    quoted: u64,
}

impl<'a> Reader<'a> {
    fn node(&mut self, value: &'a Value) -> usize {
        let next = self.queue.len();
        let at = *self.found.entry(std::ptr::from_ref(value)).or_insert(next);
        if at == next {
            self.queue.push(value);
        }
        at
    }

    /// The subschemas below a keyword: its value, or the items or members of it.
    fn all(&mut self, value: &'a Value, members: bool) -> Vec<Either> {
        match value {
            Value::Object(inner) if members => inner.iter().map(|(_, value)| vec![self.node(value)]).collect(),
            Value::Object(_) => vec![vec![self.node(value)]],
            Value::Array(items) => items.iter().map(|value| vec![self.node(value)]).collect(),
            _ => Vec::new(),
        }
    }

    fn read(&mut self, schema: &'a Value) -> Node {
        let mut node = Node { times: 1, ..Node::default() };
        let Value::Object(keywords) = schema else { return node };
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    let targets = self.places.named(value.as_str().unwrap_or_default());
                    node.here.push(targets.into_iter().map(|target| self.node(target)).collect());
                }
                "allOf" | "anyOf" | "oneOf" | "if" | "then" | "else" | "not" => {
                    node.here.extend(self.all(value, false));
                }
                "dependentSchemas" | "dependencies" => node.here.extend(self.all(value, true)),
                "properties" => node.one.extend(self.all(value, true)),
                "additionalProperties" | "items" | "prefixItems" | "additionalItems" => {
                    node.one.extend(self.all(value, false));
                }
                "patternProperties" => node.every.extend(self.all(value, true)),
                "contains" | "propertyNames" => node.every.extend(self.all(value, false)),
                "unevaluatedProperties" | "unevaluatedItems" => {
                    node.every.extend(self.all(value, false));
                    node.times = node.times.saturating_add(1);
                }
                _ => {}
            }
            if matches!(keyword.as_str(), "enum" | "const" | "not") {
                self.quoted = self.quoted.max(u64::try_from(value.to_text().len()).unwrap_or(u64::MAX));
            }
        }
        node
    }
}
