//! Which groups there are, and who writes to them.
//!
//! A target's group is found by its labels. When these change (another path, another scheme), its
//! series stay what they are, in the group that they have; were they written there from outside,
//! each sample would cost a timestamp and a value, some six times of what it costs in a row. So a
//! group is *adopted*: when most samples of a batch belong to a group to which nobody writes any
//! more, the batch's target writes there from then on. Only memory knows of it; after a start the
//! first batch adopts again.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::Labels;
use storage::{AppendError, Batch, GroupId};

use super::Head;
use super::append::limit;
use super::group::{Group, State, group_and_slot};
use crate::sync::atomic::Ordering::SeqCst;

/// In place of a group's number: none.
pub(super) const NO_GROUP: u32 = u32::MAX;

impl State {
    /// Whether nothing more comes for the group.
    pub(super) fn is_closed(&self) -> bool {
        self.closed && self.adopted_by.is_none()
    }
}

impl Head {
    /// The group with these labels, made if it is new.
    pub(crate) fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        if let Some(group) = self.find_group(labels) {
            return Ok(group);
        }
        let mut groups = self.groups.write();
        if let Some(&id) = groups.by_labels.get(labels) {
            return Ok(GroupId(id));
        }
        let id = groups.next;
        // The last number is no group's.
        groups.next = id.checked_add(1).ok_or_else(|| limit("too many groups"))?;
        let group = Arc::new(Group::new(id, labels.clone()));
        groups.by_id.insert(id, group);
        groups.by_labels.insert(labels.clone(), id);
        Ok(GroupId(id))
    }

    fn find_group(&self, labels: &Labels) -> Option<GroupId> {
        let groups = self.groups.read();
        let id = *groups.by_labels.get(labels)?;
        let group = groups.by_id.get(&id)?;
        group.state.lock().closed = false;
        Some(GroupId(id))
    }

    pub(super) fn group(&self, id: u32) -> Option<Arc<Group>> {
        self.groups.read().by_id.get(&id).cloned()
    }

    /// The group to which a target writes, and the one that it has opened: mostly the same.
    pub(super) fn writers_group(&self, opened: GroupId) -> Option<(Arc<Group>, Arc<Group>)> {
        let groups = self.groups.read();
        let own = groups.by_id.get(&opened.0)?;
        let adopted = match own.adopted.load(SeqCst) {
            NO_GROUP => None,
            id => groups.by_id.get(&id),
        };
        Some((Arc::clone(adopted.unwrap_or(own)), Arc::clone(own)))
    }

    /// Says that nothing more comes for the group: it goes when its samples are in blocks.
    pub(crate) fn close_group(&self, opened: GroupId) {
        let Some(own) = self.group(opened.0) else {
            return;
        };
        own.state.lock().closed = true;
        let adopted = self.group(own.adopted.swap(NO_GROUP, SeqCst));
        if let Some(adopted) = adopted {
            let mut state = adopted.state.lock();
            if state.adopted_by == Some(opened.0) {
                state.adopted_by = None;
            }
        }
    }

    /// Lets the batch's target write to the group that most of its samples belong to, if no other
    /// target writes there.
    pub(super) fn adopt(&self, batch: Batch<'_>) {
        let mut counts: HashMap<u32, usize, RandomState> = HashMap::default();
        for sample in batch.samples {
            *counts.entry(group_and_slot(sample.series).0).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let Some((home, count)) = most else { return };
        let (Some(own), Some(home)) = (self.group(batch.group.0), self.group(home)) else {
            return;
        };
        if 2 * count <= batch.samples.len() || home.id == own.id {
            return;
        }
        let before = own.adopted.load(SeqCst);
        if before == home.id {
            return;
        }
        {
            let mut state = home.state.lock();
            if !state.is_closed() {
                return;
            }
            state.adopted_by = Some(own.id);
        }
        own.adopted.store(home.id, SeqCst);
        if let Some(before) = self.group(before) {
            before.state.lock().adopted_by = None;
        }
        tracing::debug!(
            target = %own.labels, group = %home.labels,
            "A target goes on with the series of one that is gone"
        );
    }
}
