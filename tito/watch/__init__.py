"""`tito watch`: a module is checked again whenever its notebook is saved, and only as far as the change reaches."""
