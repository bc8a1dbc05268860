//! Where a slot is among those that are to be renewed ahead.

use crate::clock::Timestamp;
use crate::freshness::Renewal;

/// Its place, and how often it was taken up; what was noted before the last time is void.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    place: Place,
    /// When it is looked at, while it waits.
    at: Timestamp,
    ticket: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    /// It waits for its time.
    Waiting,
    /// It waits for the budget.
    InLine,
}

impl Ahead {
    /// A ticket for being looked at then, if nothing sooner is seen to.
    pub(super) fn take_up(&mut self, at: Timestamp) -> Option<u32> {
        match self.place {
            Place::Waiting if self.at <= at => return None,
            Place::InLine => return None,
            Place::Waiting | Place::Nowhere => {}
        }
        (self.place, self.at) = (Place::Waiting, at);
        self.ticket = self.ticket.wrapping_add(1);
        Some(self.ticket)
    }

    /// Whether it is looked at in the next round, if there is one by then.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.place == Place::Waiting && self.at <= now
    }

    /// Whether a ticket is the last one.
    pub(super) const fn is_valid(&self, ticket: u32) -> bool {
        self.ticket == ticket
    }

    /// Notes what is to become of it.
    pub(super) fn note(&mut self, renewal: Renewal) {
        match renewal {
            Renewal::Due(_) => self.place = Place::InLine,
            Renewal::Later(at) => (self.place, self.at) = (Place::Waiting, at),
            Renewal::LetGo => self.place = Place::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn it_is_taken_up_once_unless_it_is_to_be_sooner() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.take_up(at(10)), Some(1));
        assert_eq!((ahead.take_up(at(10)), ahead.take_up(at(11))), (None, None));
        assert_eq!(ahead.take_up(at(9)), Some(2));
        assert!(ahead.is_valid(2) && !ahead.is_valid(1));
        assert!(ahead.is_overdue(at(9)) && !ahead.is_overdue(at(8)));
        ahead.note(Renewal::Due(at(20)));
        assert_eq!((ahead.take_up(at(1)), ahead.is_overdue(at(30))), (None, false));
        ahead.note(Renewal::Later(at(40)));
        assert_eq!(ahead.take_up(at(41)), None);
        ahead.note(Renewal::LetGo);
        assert_eq!(ahead.take_up(at(50)), Some(3));
    }
}
