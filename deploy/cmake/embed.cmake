# Writes the bytes of IN as a C array to OUT (cmake -DIN=.. -DOUT=.. -DNAME=.. -P embed.cmake).
file(READ ${IN} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT} "static const unsigned char ${NAME}[] = {\n${hex}\n};\n")
