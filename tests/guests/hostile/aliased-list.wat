;; Allows with a million tags that all are the same hundred kilobytes.
(memory (export "memory") 200)
(data (i32.const 1300) "\02\00\00\00\00\00\00\00\00\00\00\00\00\00\04\00\40\42\0f\00")
(func (export "evaluate") (param i32) (result i32)
  (local $n i32)
  (memory.fill (i32.const 8192) (i32.const 97) (i32.const 100000))
  (loop $l
    (i32.store (i32.add (i32.const 262144) (i32.shl (local.get $n) (i32.const 3))) (i32.const 8192))
    (i32.store (i32.add (i32.const 262148) (i32.shl (local.get $n) (i32.const 3))) (i32.const 100000))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $l (i32.lt_u (local.get $n) (i32.const 1000000))))
  (i32.const 1300))
