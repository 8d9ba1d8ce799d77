use super::*;
use crate::audit::memory::Memory;

const SIZE_MAX: usize = 70;

/// The tests' leaves of the certificate-transparency project, and the roots of the first n of them.
const LEAVES: [&[u8]; 8] = [
    b"",
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn grown(leaves: &[Hash]) -> Memory {
    let mut memory = Memory::default();
    for (index, leaf) in leaves.iter().enumerate() {
        memory.commit(|tx| append(tx, index as u64, *leaf)).unwrap();
    }
    memory
}

fn known() -> Memory {
    grown(&LEAVES.map(leaf_hash))
}

fn numbered() -> Vec<Hash> {
    (0..SIZE_MAX).map(|n| leaf_hash(format!("leaf {n}").as_bytes())).collect()
}

/// `MTH` of RFC 6962, section 2.1, as it is written there.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(k(more.len()));
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// `PATH` of section 2.1.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(k(leaves.len()));
    let (mut proof, last) =
        if m < left.len() { (path(m, left), mth(right)) } else { (path(m - left.len(), right), mth(left)) };
    proof.push(last);
    proof
}

/// `SUBPROOF` of section 2.1.2.
fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { vec![] } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(k(leaves.len()));
    let (mut proof, last) = if m <= left.len() {
        (subproof(m, left, known), mth(right))
    } else {
        (subproof(m - left.len(), right, false), mth(left))
    };
    proof.push(last);
    proof
}

fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

#[test]
fn the_known_tree_has_the_known_roots() {
    let memory = known();
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&memory, size as u64).unwrap().to_string(), *expected, "size {size}");
    }
}

#[test]
fn the_known_tree_has_the_known_proofs() {
    let memory = known();
    let shown = |proof: Vec<Hash>| proof.iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown(inclusion(&memory, 0, 8).unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        shown(inclusion(&memory, 5, 8).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        shown(consistency(&memory, 6, 8).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_root_of_every_size_is_that_of_the_standard() {
    let leaves = numbered();
    let memory = grown(&leaves);
    for size in 0..=SIZE_MAX {
        assert_eq!(root(&memory, size as u64).unwrap(), mth(&leaves[..size]), "size {size}");
    }
    assert!(root(&memory, SIZE_MAX as u64 + 1).is_err());
}

#[test]
fn every_inclusion_proof_is_that_of_the_standard_and_proves_only_its_own() {
    let leaves = numbered();
    let memory = grown(&leaves);
    for size in 1..=SIZE_MAX {
        let top = mth(&leaves[..size]);
        for index in 0..size {
            let (at, of) = (index as u64, size as u64);
            let proof = inclusion(&memory, at, of).unwrap();
            assert_eq!(proof, path(index, &leaves[..size]), "{index} of {size}");
            assert!(verify_inclusion(&leaves[index], at, of, &proof, &top), "{index} of {size}");
            assert!(!verify_inclusion(&leaves[(index + 1) % SIZE_MAX], at, of, &proof, &top));
            assert!(!verify_inclusion(&leaves[index], at ^ 1, of, &proof, &top) || size == 1);
            assert!(!verify_inclusion(&leaves[index], at, of, &[&proof[..], &[top]].concat(), &top));
            for cut in 0..proof.len() {
                assert!(!verify_inclusion(&leaves[index], at, of, &proof[..cut], &top));
                let mut bent = proof.clone();
                bent[cut].0[7] ^= 1;
                assert!(!verify_inclusion(&leaves[index], at, of, &bent, &top));
            }
        }
    }
    assert!(matches!(inclusion(&memory, 3, 3), Err(ProofError::NoSuchEntry { index: 3, size: 3 })));
    assert!(!verify_inclusion(&leaves[0], 0, 0, &[], &empty_root()));
}

#[test]
fn every_consistency_proof_is_that_of_the_standard_and_proves_only_its_own() {
    let leaves = numbered();
    let memory = grown(&leaves);
    let roots: Vec<Hash> = (0..=SIZE_MAX).map(|size| mth(&leaves[..size])).collect();
    for new in 1..=SIZE_MAX {
        for old in 1..=new {
            let proof = consistency(&memory, old as u64, new as u64).unwrap();
            assert_eq!(proof, subproof(old, &leaves[..new], true), "{old} to {new}");
            let holds =
                |from: &Hash, to: &Hash, proof: &[Hash]| verify_consistency(old as u64, new as u64, from, to, proof);
            assert!(holds(&roots[old], &roots[new], &proof), "{old} to {new}");
            assert!(!holds(&roots[old - 1], &roots[new], &proof));
            assert!(!holds(&roots[old], &roots[new - 1], &proof));
            assert!(!holds(&roots[old], &roots[new], &[&proof[..], &[roots[new]]].concat()));
            for cut in 0..proof.len() {
                assert!(!holds(&roots[old], &roots[new], &proof[..cut]));
                let mut bent = proof.clone();
                bent[cut].0[31] ^= 1;
                assert!(!holds(&roots[old], &roots[new], &bent));
            }
        }
        assert!(consistency(&memory, 0, new as u64).unwrap().is_empty());
        assert!(verify_consistency(0, new as u64, &roots[0], &roots[new], &[]));
        assert!(!verify_consistency(0, new as u64, &roots[1], &roots[new], &[]));
    }
    assert!(matches!(consistency(&memory, 5, 4), Err(ProofError::Shrunk { old: 5, new: 4 })));
    assert!(!verify_consistency(5, 4, &roots[5], &roots[4], &[]));
}

#[test]
fn a_proof_that_ends_below_the_root_proves_nothing() {
    let leaves = numbered();
    let memory = grown(&leaves);
    let left = mth(&leaves[..32]);
    let proof = inclusion(&memory, 5, 32).unwrap();
    assert!(verify_inclusion(&leaves[5], 5, 32, &proof, &left));
    assert!(!verify_inclusion(&leaves[5], 5, 70, &proof, &left), "the root of the left half is not that of 70");
    let proof = consistency(&memory, 11, 32).unwrap();
    let old = mth(&leaves[..11]);
    assert!(verify_consistency(11, 32, &old, &left, &proof));
    assert!(!verify_consistency(11, 70, &old, &left, &proof));
}

#[test]
fn an_append_reads_few_and_writes_two_on_average() {
    let mut memory = grown(&numbered()[..63]);
    *memory.gets.borrow_mut() = 0;
    let before = memory.pairs.len();
    memory.commit(|tx| append(tx, 63, leaf_hash(b"last"))).unwrap();
    assert_eq!(*memory.gets.borrow(), 6, "one left sibling in each level");
    assert_eq!(memory.pairs.len() - before, 7);
    assert_eq!(memory.pairs.len(), 2 * 64 - 1);
}

#[test]
fn a_missing_node_is_damage() {
    let mut memory = known();
    memory.pairs.remove(&keys::node(1, 0));
    assert!(root(&memory, 7).is_ok(), "not needed there");
    assert!(matches!(root(&memory, 3), Err(StoreError::Damaged(_))));
    memory.pairs.insert(keys::node(1, 0), vec![1; 31]);
    assert!(matches!(root(&memory, 3), Err(StoreError::Damaged(_))));
}
