"""The recipe of the tissue judge: T1 to tissues at 2 mm, learnt from labelled people."""
