;; Never says whether a tool is visible.
(func (export "visible") (param i32) (result i32) (loop $l (br $l)) (unreachable))
