;; Denies with a reason that is not UTF-8.
(data (i32.const 1300) "\00\00\00\00\50\05\00\00\02\00\00\00")
(data (i32.const 1360) "\ff\fe")
(func (export "evaluate") (param i32) (result i32) (i32.const 1300))
