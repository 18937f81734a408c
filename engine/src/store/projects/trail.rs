//! The tree of edits: who came from whom, and where undo and redo lead.

use std::collections::BTreeMap;

use super::{EditKind, NodeId};

/// Holds what is shown of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub id: NodeId,
    /// The node from which it was done.
    pub parent: Option<NodeId>,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// What was done.
    pub kind: EditKind,
    /// More about it.
    pub detail: String,
    /// Whether something was generated, so that it can be run again.
    pub has_recipe: bool,
}

/// Holds the tree of edits and the node that a person is at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    nodes: BTreeMap<NodeId, NodeInfo>,
    head: Option<NodeId>,
    /// For each node the child through which the person came or went last: where redo leads.
    onward: BTreeMap<NodeId, NodeId>,
}

impl Trail {
    /// Makes a tree. A parent that is not there or is younger than its child counts as none, so a
    /// damaged file makes no ring; a head that is not there is the youngest node.
    pub fn new(nodes: impl IntoIterator<Item = NodeInfo>, head: Option<NodeId>) -> Self {
        let mut trail = Self::default();
        for mut node in nodes {
            node.parent =
                node.parent.filter(|parent| *parent < node.id && trail.nodes.contains_key(parent));
            // The youngest child is where redo leads after a start.
            if let Some(parent) = node.parent.filter(|_| !node.kind.is_aside()) {
                trail.onward.insert(parent, node.id);
            }
            trail.nodes.insert(node.id, node);
        }
        let on_the_way = |node: &&NodeInfo| !node.kind.is_aside();
        let youngest = trail.nodes.values().rev().find(on_the_way).map(|node| node.id);
        let head = head.filter(|head| trail.nodes.contains_key(head)).or(youngest);
        if let Some(head) = head {
            trail.go_to(head);
        }
        trail
    }

    /// Adds a node and goes to it, unless it [stands aside](EditKind::is_aside).
    pub fn add(&mut self, node: NodeInfo) {
        let (id, is_aside) = (node.id, node.kind.is_aside());
        self.nodes.insert(id, node);
        if !is_aside {
            self.go_to(id);
        }
    }

    /// Returns the latest node of a kind on the way from the first to a node, itself among them.
    pub fn latest(&self, kind: EditKind, id: NodeId) -> Option<NodeId> {
        let mut at = Some(id);
        while let Some(node) = at.and_then(|id| self.nodes.get(&id)) {
            if node.kind == kind {
                return Some(node.id);
            }
            at = node.parent;
        }
        None
    }

    /// Goes to a node, where it is there; redo from its ancestors leads to it then.
    pub fn go_to(&mut self, id: NodeId) {
        if !self.nodes.contains_key(&id) {
            return;
        }
        self.head = Some(id);
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            self.onward.insert(parent, at);
            at = parent;
        }
    }

    /// Returns the name of the next node.
    pub fn next_id(&self) -> NodeId {
        NodeId(self.nodes.keys().next_back().map_or(1, |id| id.0.saturating_add(1)))
    }

    /// Returns the node that the person is at.
    pub fn head(&self) -> Option<NodeId> {
        self.head
    }

    /// Returns a node.
    pub fn get(&self, id: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(&id)
    }

    /// Returns the node from which a node was done.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.nodes.get(&id).and_then(|node| node.parent)
    }

    /// Lists all nodes, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &NodeInfo> {
        self.nodes.values()
    }

    /// Returns how many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns where undo leads.
    pub fn undo(&self) -> Option<NodeId> {
        self.head.and_then(|head| self.parent(head))
    }

    /// Returns where redo leads: to the child that was visited last.
    pub fn redo(&self) -> Option<NodeId> {
        self.head.and_then(|head| self.onward.get(&head).copied())
    }

    /// Lists the tree as it is drawn, the youngest first: each node with its lane. The lane 0 is the
    /// way from the first node to the head and on to where redo ends; a branch has a lane from where
    /// it leaves to its end.
    pub fn lanes(&self) -> Vec<(&NodeInfo, usize)> {
        let mut main: Vec<NodeId> = Vec::new();
        let mut at = self.head;
        while let Some(id) = at {
            main.push(id);
            at = self.parent(id);
        }
        let mut at = self.redo();
        while let Some(id) = at {
            main.push(id);
            at = self.onward.get(&id).copied();
        }
        main.sort_unstable();
        // From old to young: a node goes on in the lane of its parent unless an elder sibling did.
        let mut lane_of: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut last_of_lane: Vec<NodeId> = Vec::new();
        for node in self.nodes.values() {
            let lane = if main.binary_search(&node.id).is_ok() {
                0
            } else {
                let parent = node.parent.and_then(|parent| lane_of.get(&parent).copied());
                let continues = parent
                    .filter(|lane| *lane > 0 && last_of_lane.get(*lane) == node.parent.as_ref());
                continues.unwrap_or_else(|| last_of_lane.len().max(1))
            };
            while last_of_lane.len() <= lane {
                last_of_lane.push(node.id);
            }
            last_of_lane[lane] = node.id;
            lane_of.insert(node.id, lane);
        }
        let lane = |node: &NodeInfo| lane_of.get(&node.id).copied().unwrap_or_default();
        self.nodes.values().rev().map(|node| (node, lane(node))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i64, parent: i64) -> NodeInfo {
        NodeInfo {
            id: NodeId(id),
            parent: (parent > 0).then_some(NodeId(parent)),
            created_ms: id,
            kind: EditKind::Painted,
            detail: String::new(),
            has_recipe: false,
        }
    }

    #[test]
    fn redo_leads_back_into_the_branch_that_undo_came_from() {
        // 1 – 2 – 3, and 4 beside 3.
        let mut trail = Trail::new([node(1, 0), node(2, 1), node(3, 2), node(4, 2)], None);
        assert_eq!(
            (trail.head(), trail.undo(), trail.redo()),
            (Some(NodeId(4)), Some(NodeId(2)), None)
        );
        trail.go_to(NodeId(3));
        trail.go_to(NodeId(2));
        assert_eq!(trail.redo(), Some(NodeId(3)));
        trail.go_to(NodeId(1));
        assert_eq!(trail.redo(), Some(NodeId(2)));
        assert_eq!(trail.undo(), None);
    }

    #[test]
    fn a_branch_has_a_lane_of_its_own() {
        let nodes = [node(1, 0), node(2, 1), node(3, 2), node(4, 2), node(5, 4), node(6, 3)];
        let trail = Trail::new(nodes, Some(NodeId(5)));
        let lanes: Vec<(i64, usize)> =
            trail.lanes().into_iter().map(|(node, lane)| (node.id.0, lane)).collect();
        assert_eq!(lanes, [(6, 1), (5, 0), (4, 0), (3, 1), (2, 0), (1, 0)]);
    }

    #[test]
    fn a_candidate_stands_beside_the_way_and_can_be_gone_to() {
        let mut trail = Trail::new([node(1, 0), node(2, 1)], None);
        trail.add(NodeInfo { kind: EditKind::Candidate, ..node(3, 2) });
        assert_eq!((trail.head(), trail.redo()), (Some(NodeId(2)), None));
        let nodes: Vec<NodeInfo> = trail.iter().cloned().collect();
        let again = Trail::new(nodes, None);
        assert_eq!((again.head(), again.redo()), (Some(NodeId(2)), None));
        trail.go_to(NodeId(3));
        assert_eq!((trail.head(), trail.undo()), (Some(NodeId(3)), Some(NodeId(2))));
        assert_eq!(trail.latest(EditKind::Painted, NodeId(3)), Some(NodeId(2)));
        assert_eq!(trail.latest(EditKind::Merged, NodeId(3)), None);
    }

    #[test]
    fn a_damaged_tree_makes_no_ring() {
        let trail = Trail::new([node(1, 2), node(2, 1), node(3, 3), node(4, 99)], Some(NodeId(7)));
        assert_eq!(trail.head(), Some(NodeId(4)));
        assert!([1, 3, 4].iter().all(|id| trail.parent(NodeId(*id)).is_none()));
        assert_eq!(trail.parent(NodeId(2)), Some(NodeId(1)));
    }
}
