;; Grows its table as long as it can.
(table $t 1 funcref)
(func (export "evaluate") (param i32) (result i32)
  (loop $l (drop (table.grow $t (ref.null func) (i32.const 10000))) (br $l)) (unreachable))
