"""What a chapter needs of its parameters, network and images, tried on one image before a kernel starts.

`network` holds for every chapter. Each other module bears a lesson's name, and its function `expect` is for the lesson
and its lab. All raise errors in words that name the parameter to change.
"""
