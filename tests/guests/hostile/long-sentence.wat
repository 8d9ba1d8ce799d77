;; Denies with a reason of five thousand bytes: small enough to cross, too long for a sentence.
(data (i32.const 1300) "\00\00\00\00\00\20\00\00\88\13\00\00")
(func (export "evaluate") (param i32) (result i32)
  (memory.fill (i32.const 8192) (i32.const 97) (i32.const 5000)) (i32.const 1300))
