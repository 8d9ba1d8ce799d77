;; Fills its memory again and again with single instructions.
(memory (export "memory") 512)
(func (export "evaluate") (param i32) (result i32)
  (loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432)) (br $l)) (unreachable))
