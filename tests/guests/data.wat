;; A description at 1024, `allow` without obligations at 1100, an empty list at 1200; the heap from 4096.
(global $heap (mut i32) (i32.const 4096))
(data (i32.const 1024) "\20\04\00\00\03\00\00\00\24\04\00\00\05\00\00\00\2a\04\00\00\07\00\00\00\32\04\00\00\02\00\00\00wat\001.0.0\00A test.\00{}")
(data (i32.const 1100) "\02")
