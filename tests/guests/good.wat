;; Allows everything.
