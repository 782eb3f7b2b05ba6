use super::*;

fn is_cut(cut: &Cut) -> bool {
    cut.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
}

/// Makes a share look as old as a slow one.
fn age(share: &MemoryShare, by: Duration) {
    let mut state = share.shared.lock();
    let holder = state.holders.get_mut(&share.id).unwrap();
    holder.since = holder.since.checked_sub(by).unwrap();
    holder.span_since = holder.span_since.checked_sub(by).unwrap();
}

#[tokio::test]
async fn a_share_waits_for_what_others_give_back() {
    let budget = MemoryBudget::new(100);
    let (mut first, mut second) = (budget.share(None), budget.share(None));
    first.grow(70).await.unwrap();
    assert_eq!(second.grow(40).await, Err(Exhausted::Budget));
    assert_eq!(budget.used(), 70);
    let (granted, ()) = tokio::join!(second.grow(40), async { drop(first) });
    assert_eq!((granted, budget.used()), (Ok(()), 40));
    drop(second);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn the_largest_slow_holder_is_cut_and_nobody_else() {
    let budget = MemoryBudget::new(10 << 20);
    let cuts = [Cut::default(), Cut::default(), Cut::default()];
    let mut shares: Vec<_> = cuts.iter().map(|cut| budget.share(Some(cut.clone()))).collect();
    for (share, mebibytes) in shares.iter_mut().zip([1, 3, 6]) {
        share.grow(mebibytes << 20).await.unwrap();
        share.progress(mebibytes << 20);
    }
    shares.iter().for_each(|share| age(share, Duration::from_secs(10)));
    // The second has moved 3 MiB, but nothing lately.
    [0, 2].into_iter().for_each(|fast| shares[fast].progress(1 << 20));
    budget.share(None).add(1);
    assert_eq!(cuts.each_ref().map(is_cut), [false, true, false]);
    let mut fresh = budget.share(None);
    age(&shares[0], Duration::from_secs(60));
    fresh.add(1);
    assert_eq!(
        cuts.each_ref().map(is_cut),
        [false, true, false],
        "the memory of the second is as good as free"
    );
    fresh.add(3 << 20);
    assert_eq!(cuts.each_ref().map(is_cut), [true, true, false], "each is cut once");
}

#[tokio::test]
async fn memory_that_no_connection_holds_any_more_cuts_none() {
    let budget = MemoryBudget::new(10);
    let cut = Cut::default();
    let mut share = budget.share(Some(cut.clone()));
    share.add(10);
    age(&share, Duration::from_secs(60));
    share.cut_by(None);
    assert_eq!(budget.share(None).grow(1).await, Err(Exhausted::Budget));
    assert!(!is_cut(&cut));
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_slow_and_as_many_are_cut_as_it_takes() {
    let budget = MemoryBudget::new(10 << 20);
    let cuts = [Cut::default(), Cut::default(), Cut::default()];
    let mut unread: Vec<_> = cuts.iter().map(|cut| budget.share(Some(cut.clone()))).collect();
    for share in &mut unread {
        share.add(3 << 20);
        age(share, Duration::from_secs(3));
    }
    budget.share(None).add(6 << 20);
    assert_eq!(cuts.iter().filter(|cut| is_cut(cut)).count(), 2);
}

#[tokio::test]
async fn a_holder_that_becomes_slow_while_others_wait_is_cut() {
    let budget = MemoryBudget::new(100);
    let cut = Cut::default();
    let mut holder = budget.share(Some(cut.clone()));
    holder.grow(100).await.unwrap();
    let mut waiting = budget.share(None);
    let (granted, ()) = tokio::join!(waiting.grow(10), async { age(&holder, SETTLED) });
    assert_eq!((granted, is_cut(&cut)), (Err(Exhausted::Budget), true));
}

async fn hold(budget: &MemoryBudget, user_id: i64, bytes: u64) -> Result<MemoryShare, Exhausted> {
    let mut share = budget.share(None);
    share.belong_to(user_id);
    share.grow(bytes).await.map(|()| share)
}

#[tokio::test]
async fn one_user_gets_a_quarter_at_most_and_others_find_room() {
    let budget = MemoryBudget::new(96);
    let mut held = vec![hold(&budget, 1, 16).await.unwrap()];
    assert_eq!(hold(&budget, 1, 16).await.err(), Some(Exhausted::User));
    held.push(hold(&budget, 1, 8).await.unwrap());
    assert_eq!(hold(&budget, 1, 1).await.err(), Some(Exhausted::User));
    for user_id in 2..8 {
        held.extend(hold(&budget, user_id, 16).await);
    }
    assert_eq!((held.len(), budget.used()), (5, 72), "what is left is for smaller ones");
    held.push(hold(&budget, 20, 12).await.unwrap());
    held.push(hold(&budget, 21, 6).await.unwrap());
    held.clear();
    // One request may take all of a small budget.
    let whole = hold(&budget, 1, 96).await.unwrap();
    assert_eq!(hold(&budget, 2, 1).await.err(), Some(Exhausted::Budget));
    drop(whole);
}

#[tokio::test]
async fn a_user_who_sends_one_request_after_the_other_waits_for_the_end_of_the_one_before() {
    let budget = MemoryBudget::new(96);
    let _other = hold(&budget, 2, 1).await.unwrap();
    let first = hold(&budget, 1, 20).await.unwrap();
    let (second, ()) = tokio::join!(hold(&budget, 1, 20), async {
        tokio::task::yield_now().await;
        drop(first);
    });
    assert!(second.is_ok(), "{second:?}");
}
