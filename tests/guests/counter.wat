;; Counts its calls in memory, and denies only the first: a fresh instance has never seen another. What
;; `configure` leaves in memory, the length of the settings, is the length of the denial's reason.
(data (i32.const 1300) "\00\00\00\00\00\20\00\00")
(data (i32.const 8192) "a text that is longer than any settings which the tests hand over, so that a part of it can be the reason")
(func (export "configure") (param i32 i32) (result i32)
  (i32.store (i32.const 1308) (local.get 1)) (i32.const 1200))
(func (export "evaluate") (param i32) (result i32)
  (i32.store (i32.const 2000) (i32.add (i32.load (i32.const 2000)) (i32.const 1)))
  (if (result i32) (i32.gt_u (i32.load (i32.const 2000)) (i32.const 1)) (then (i32.const 1100)) (else (i32.const 1300))))
