def double_it(ctx, n):
    return {'T': n * 2}
