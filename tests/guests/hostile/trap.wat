;; Traps.
(func (export "evaluate") (param i32) (result i32) (unreachable))
