//! Random numbers that are the same for the same seed, with every version of every library
//! (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).

/// A source of random numbers. None of them may become a secret.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to 1, without 1.
    pub(super) fn part(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number below `bound`, or 0 if there is none.
    pub(super) fn below(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).unwrap_or(0).max(1);
        i64::try_from(self.draw() % bound).unwrap_or(0)
    }

    /// Returns `true` in this many of 100 cases.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// Returns a place in a list of this length.
    pub(super) fn place(&mut self, length: usize) -> usize {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        usize::try_from(self.below(length)).unwrap_or(0)
    }

    /// Returns one element of a list. `None` if the list is empty.
    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        let place = self.place(list.len());
        list.get(place).copied()
    }

    /// Puts a list into a random order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.place(last + 1);
            list.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!([dice.draw(), dice.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn all_numbers_are_within_their_bounds() {
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&dice.part()));
            assert!((0..7).contains(&dice.below(7)));
            assert!(dice.place(3) < 3);
        }
        assert_eq!([dice.below(0), dice.below(-5), dice.below(1)], [0; 3]);
        assert_eq!(dice.pick::<u8>(&[]), None);
        let mut list: Vec<u8> = (0..20).collect();
        dice.shuffle(&mut list);
        assert_ne!(list, (0..20).collect::<Vec<u8>>());
        list.sort_unstable();
        assert_eq!(list, (0..20).collect::<Vec<u8>>());
    }
}
