/* real_text.cc - see real_text.h. The library writes "d.ddde+xx"; real_digits picks the digits out of
 * that. */
#include "core/base/real_text.h"

#include <cassert>
#include <charconv>
#include <cstdlib>
#include <string>

size_t real_digits(double r, char digits[REAL_DIGITS_MAX], int *exponent) {
    char text[40];
    std::to_chars_result end = std::to_chars(text, text + sizeof text, r, std::chars_format::scientific);
    assert(end.ec == std::errc());
    size_t count = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at != '.') digits[count++] = *at;
    at++;
    if (*at == '+') at++;
    std::from_chars(at, end.ptr, *exponent);
    return count;
}

double real_parse(const char *bytes, size_t len) {
    double r = 0;
    if (std::from_chars(bytes, bytes + len, r).ec != std::errc::result_out_of_range) return r;
    return std::strtod(std::string(bytes, len).c_str(), nullptr); /* tells overflow from underflow */
}
