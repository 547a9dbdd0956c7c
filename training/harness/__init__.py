"""One command a recipe: stop and resume without loss, averages, checkpoints, figures.

A recipe says what is trained on what (`Recipe`); `Run` does everything else.  A module of
its own makes it a command, ``python -m training.<recipe> --data … --out … [--resume]``::

    from training.harness.command import main

    main(MyRecipe)
"""
