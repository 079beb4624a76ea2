word = '!'
