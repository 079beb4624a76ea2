def three(a, b, c):
    return [[a, b, c]]
def pair(x):
    return x, x * 2
def lst():
    return [1, [2, 3]]
def named(x):
    return {"D1": 1, "D2": {"k": x}, "other": 3}
def single(x):
    return x + "!"
def dictone():
    return {"F1": True}
