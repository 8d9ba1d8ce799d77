;; Returns a verdict from outside of its memory.
(func (export "evaluate") (param i32) (result i32) (i32.const -16))
