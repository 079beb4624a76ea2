/* json_parse.cc - JSON text to values, behind the C interface of json.h.
 *
 * simdjson does the part that needs SIMD: its first stage checks the UTF-8 and lists where every token
 * begins, and its string reader resolves escapes. This file walks the grammar over that list of tokens,
 * strictly, and makes values of it at once. So there is no tree in between, what simdjson refuses (integers
 * beyond 64 bits, NaN, lone surrogates) needs no second reader, and an error always knows its byte.
 *
 * Safety: tokens come from the list only, and NUL bytes, which end every scan, follow the copy of the input.
 * No exception leaves this file: what allocates is noexcept, so running out of memory ends the process, as
 * everywhere.
 */
extern "C" {
#include "core/base/integer.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/names.h"
#include "core/base/text.h"
}
#include "core/base/real_text.h"

#include <simdjson.h>

#include <cmath>
#include <cstring>
#include <memory>

namespace {

constexpr size_t CAPACITY_FIRST = 4096;
constexpr size_t CAPACITY_KEPT = size_t(1) << 20; /* scratch for a larger text is given back after it */

/* The tokenizer behind simdjson's own parser is not public: CMakeLists.txt accepts release 3 alone. */
static_assert(simdjson::SIMDJSON_VERSION_MAJOR == 3, "simdjson::internal is used as release 3 has it");
using tokenizer_t = simdjson::internal::dom_parser_implementation;

} // namespace

struct json_parser {
    std::unique_ptr<tokenizer_t> tokenizer; /* owns the list of tokens */
    std::unique_ptr<char[]> text;           /* padded copy of the input */
    std::unique_ptr<char[]> string;         /* the string being unescaped, never longer than the text */
    size_t capacity = 0;                    /* bytes of input that the above fit */

    /* of the text being parsed */
    size_t len = 0;
    uint32_t next = 0;  /* token to read next */
    uint32_t count = 0; /* tokens */
    err_t *err = nullptr;

    json_parser() = default;
    json_parser(const json_parser &) = delete;
    json_parser &operator=(const json_parser &) = delete;
};

namespace {

bool parse_value(json_parser_t &p, value_t *out, int depth);

thread_local json_repairs_t repairs; /* so far */

/* ---- errors */

bool fail_at(json_parser_t &p, size_t byte, const char *what) {
    err_set(p.err, SDG_EPARSE, "JSON: %s at byte %zu", what, byte);
    return false;
}

/* Byte of the next token, or the end of the text. */
size_t here(const json_parser_t &p) {
    return p.next < p.count ? p.tokenizer->structural_indexes[p.next] : p.len;
}

bool fail_here(json_parser_t &p, const char *what) {
    return fail_at(p, here(p), p.next < p.count ? what : "the text ends too early");
}

size_t first_invalid_utf8(const char *bytes, size_t len) {
    size_t at = 0;
    uint32_t cp;
    while (at < len) {
        int n = utf8_decode(bytes + at, len - at, &cp);
        if (n == 0) break;
        at += size_t(n);
    }
    return at;
}

/* The first control character inside a string; white space between tokens does not count. */
size_t first_control(const char *bytes, size_t len) {
    bool quoted = false;
    for (size_t at = 0; at < len; at++) {
        if (quoted && static_cast<unsigned char>(bytes[at]) < 0x20) return at;
        if (quoted && bytes[at] == '\\')
            at++;
        else if (bytes[at] == '"')
            quoted = !quoted;
    }
    return len;
}

bool fail_stage(json_parser_t &p, simdjson::error_code code) {
    switch (code) {
    case simdjson::EMPTY: return fail_at(p, 0, "no value");
    case simdjson::UTF8_ERROR: return fail_at(p, first_invalid_utf8(p.text.get(), p.len), "invalid UTF-8");
    case simdjson::UNCLOSED_STRING: return fail_at(p, p.len, "unclosed string");
    case simdjson::UNESCAPED_CHARS:
        return fail_at(p, first_control(p.text.get(), p.len), "unescaped control character in a string");
    default: return fail_at(p, 0, simdjson::error_message(code));
    }
}

/* ---- tokens */

/* First byte of the next token, 0 at the end. */
char peek(const json_parser_t &p) {
    return p.next < p.count ? p.text[p.tokenizer->structural_indexes[p.next]] : '\0';
}

/* True when no more of a number or word follows; a NUL byte counts only as the padding behind the text. */
bool ends_scalar(const json_parser_t &p, const char *at) {
    switch (*at) {
    case '\0': return size_t(at - p.text.get()) == p.len;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case ',':
    case ':':
    case ']':
    case '}':
    case '[':
    case '{': return true;
    default: return false;
    }
}

bool parse_word(json_parser_t &p, const char *word, value_t value, value_t *out) {
    size_t n = std::strlen(word);
    const char *at = p.text.get() + here(p);
    if (std::memcmp(at, word, n) != 0 || !ends_scalar(p, at + n)) return fail_here(p, "not a JSON value");
    p.next++;
    *out = value;
    return true;
}

/* ---- numbers */

bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char *skip_digits(const char *at) {
    while (is_digit(*at))
        at++;
    return at;
}

/* A real, or null when it is beyond all reals; `bytes` may hold an integer with too many digits, too. */
value_t real_or_null(const char *bytes, size_t len) {
    double r = real_parse(bytes, len);
    if (std::isfinite(r)) return value_real(r);
    repairs.nulls++;
    return value_null();
}

/* The integer of digits [at, end). Up to 18 of them fit 64 bits whatever they are. */
value_t integer_of(const char *at, const char *end, bool negative) {
    if (end - at > 18) {
        if (end - at > INTEGER_DIGITS_MAX) return real_or_null(at, size_t(end - at));
        return integer_from_digits(at, size_t(end - at), negative);
    }
    int64_t magnitude = 0;
    for (; at < end; at++)
        magnitude = magnitude * 10 + (*at - '0');
    return value_int(negative ? -magnitude : magnitude);
}

/* Where the fraction and exponent behind an integer part end; NULL when they are malformed. */
const char *skip_fraction(const char *at) {
    if (*at == '.') {
        if (!is_digit(at[1])) return nullptr;
        at = skip_digits(at + 1);
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '+' || *at == '-') at++;
        if (!is_digit(*at)) return nullptr;
        at = skip_digits(at);
    }
    return at;
}

/* The places of a number's parts. */
struct number_text_t {
    const char *start, *digits, *whole, *end; /* sign or digits, digits, the end of these, the end of all */
};

/* JSON's grammar of numbers: no leading zeros, digits on both sides of a point. */
bool read_number(json_parser_t &p, number_text_t *n) {
    n->start = p.text.get() + here(p);
    n->digits = n->start + (*n->start == '-' ? 1 : 0);
    n->whole = skip_digits(n->digits);
    if (n->whole == n->digits || (*n->digits == '0' && n->whole - n->digits > 1))
        return fail_here(p, "malformed number");
    n->end = skip_fraction(n->whole);
    if (!n->end || !ends_scalar(p, n->end)) return fail_here(p, "malformed number");
    return true;
}

bool parse_number(json_parser_t &p, value_t *out) {
    number_text_t n;
    if (!read_number(p, &n)) return false;
    *out = n.end == n.whole ? integer_of(n.digits, n.whole, n.digits > n.start)
                            : real_or_null(n.start, size_t(n.end - n.start));
    p.next++;
    return true;
}

/* NaN, Infinity and -Infinity, as json.dumps of Python writes them by default. */
bool parse_no_number(json_parser_t &p, const char *word, value_t *out) {
    if (!parse_word(p, word, value_null(), out)) return false;
    repairs.nulls++;
    return true;
}

/* ---- strings */

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The code unit of "\uXXXX" at `at` (the backslash); -1 when it is something else. */
int code_unit(const char *at) {
    if (at[0] != '\\' || at[1] != 'u') return -1;
    int unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Writes a code point; returns the end of the output. */
char *put_utf8(char *to, uint32_t cp) {
    if (cp < 0x80) {
        *to++ = char(cp);
    } else if (cp < 0x800) {
        *to++ = char(0xC0 | (cp >> 6));
        *to++ = char(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        *to++ = char(0xE0 | (cp >> 12));
        *to++ = char(0x80 | ((cp >> 6) & 0x3F));
        *to++ = char(0x80 | (cp & 0x3F));
    } else {
        *to++ = char(0xF0 | (cp >> 18));
        *to++ = char(0x80 | ((cp >> 12) & 0x3F));
        *to++ = char(0x80 | ((cp >> 6) & 0x3F));
        *to++ = char(0x80 | (cp & 0x3F));
    }
    return to;
}

/* Resolves the \u escape at *from (two of them for a surrogate pair); a lone surrogate becomes U+FFFD. */
char *unescape_unicode(const char **from, char *to) {
    int unit = code_unit(*from);
    if (unit < 0) return nullptr;
    *from += 6;
    if (unit < 0xD800 || unit > 0xDFFF) return put_utf8(to, uint32_t(unit));
    int low = unit < 0xDC00 ? code_unit(*from) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        repairs.characters++;
        return put_utf8(to, 0xFFFD);
    }
    *from += 6;
    return put_utf8(to, 0x10000 + (uint32_t(unit - 0xD800) << 10) + uint32_t(low - 0xDC00));
}

/* Reads a string that simdjson refuses, byte by byte. Returns the end of the output, NULL at a bad escape. */
char *unescape_slowly(const char *from, char *to) {
    static const char NAMES[] = "\"\\/bfnrt", MEANS[] = "\"\\/\b\f\n\r\t";
    while (*from != '"') {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        if (from[1] == 'u') {
            to = unescape_unicode(&from, to);
            if (!to) return nullptr;
            continue;
        }
        const char *name = from[1] ? std::strchr(NAMES, from[1]) : nullptr;
        if (!name) return nullptr;
        *to++ = MEANS[name - NAMES];
        from += 2;
    }
    return to;
}

/* Reads the next token, a string, into p.string; false after an error. */
bool read_string(json_parser_t &p, size_t *len) {
    const char *from = p.text.get() + here(p) + 1;
    char *to = p.string.get();
    auto *end = reinterpret_cast<char *>(
        p.tokenizer->parse_string(reinterpret_cast<const uint8_t *>(from), reinterpret_cast<uint8_t *>(to)));
    if (!end) end = unescape_slowly(from, to);
    if (!end) return fail_here(p, "bad escape in the string");
    *len = size_t(end - to);
    if (*len > VALUE_STRING_MAX) return fail_here(p, "string too long");
    p.next++;
    return true;
}

bool parse_string(json_parser_t &p, value_t *out) {
    size_t len;
    if (!read_string(p, &len)) return false;
    *out = value_string(p.string.get(), len);
    return true;
}

/* ---- containers */

/* Reads what follows '[' into the list. After an error the list holds the items before it. */
bool parse_list_rest(json_parser_t &p, value_t *list, int depth) {
    if (peek(p) == ']') {
        p.next++;
        return true;
    }
    for (;;) {
        value_t item;
        if (!parse_value(p, &item, depth)) return false;
        list_push(list, item);
        char c = peek(p);
        if (c != ',' && c != ']') return fail_here(p, "expected ',' or ']'");
        p.next++;
        if (c == ']') return true;
    }
}

bool parse_member(json_parser_t &p, value_t *object, int depth) {
    if (peek(p) != '"') return fail_here(p, "expected a key in quotes");
    size_t len;
    if (!read_string(p, &len)) return false;
    if (peek(p) != ':') return fail_here(p, "expected ':'");
    str_t *key = name_new(p.string.get(), len);
    p.next++;
    value_t value;
    bool ok = parse_value(p, &value, depth);
    if (ok) object_set(object, key, value);
    str_free(key);
    return ok;
}

bool parse_object_rest(json_parser_t &p, value_t *object, int depth) {
    if (peek(p) == '}') {
        p.next++;
        return true;
    }
    for (;;) {
        if (!parse_member(p, object, depth)) return false;
        char c = peek(p);
        if (c != ',' && c != '}') return fail_here(p, "expected ',' or '}'");
        p.next++;
        if (c == '}') return true;
    }
}

bool parse_container(json_parser_t &p, value_t *out, int depth) {
    if (depth >= JSON_DEPTH_MAX) return fail_here(p, "nested too deeply");
    bool is_list = peek(p) == '[';
    p.next++;
    *out = is_list ? value_list(0) : value_object(0);
    bool ok = is_list ? parse_list_rest(p, out, depth + 1) : parse_object_rest(p, out, depth + 1);
    if (!ok) value_clear(out);
    return ok;
}

/* Reads the value that begins with the next token. It lies `depth` containers deep. */
bool parse_value(json_parser_t &p, value_t *out, int depth) {
    switch (peek(p)) {
    case '"': return parse_string(p, out);
    case '{':
    case '[': return parse_container(p, out, depth);
    case 't': return parse_word(p, "true", value_bool(true), out);
    case 'f': return parse_word(p, "false", value_bool(false), out);
    case 'n': return parse_word(p, "null", value_null(), out);
    case 'N': return parse_no_number(p, "NaN", out);
    case 'I': return parse_no_number(p, "Infinity", out);
    case '-':
        if (p.text[here(p) + 1] == 'I') return parse_no_number(p, "-Infinity", out);
        [[fallthrough]];
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return parse_number(p, out);
    default: return fail_here(p, "not a JSON value");
    }
}

/* ---- checking without making values */

bool check_value(json_parser_t &p, int depth);

/* A string without a backslash is fine as it is: the tokenizer has checked its UTF-8 and its quotes. */
bool check_string(json_parser_t &p) {
    size_t from = here(p);
    size_t to = p.next + 1 < p.count ? p.tokenizer->structural_indexes[p.next + 1] : p.len;
    size_t len;
    if (std::memchr(p.text.get() + from, '\\', to - from)) return read_string(p, &len);
    p.next++;
    return true;
}

/* What follows '{' or '['; `visit` is told the members of an object. */
bool check_rest(json_parser_t &p, bool is_list, int depth, json_member_fn *visit, void *context) {
    char close = is_list ? ']' : '}';
    if (peek(p) == close) {
        p.next++;
        return true;
    }
    for (;;) {
        if (!is_list) {
            if (peek(p) != '"') return fail_here(p, "expected a key in quotes");
            size_t len = 0;
            if (!(visit ? read_string(p, &len) : check_string(p))) return false;
            if (peek(p) != ':') return fail_here(p, "expected ':'");
            p.next++;
            if (visit && p.next < p.count) visit(context, p.string.get(), len, p.text.get() + here(p));
        }
        if (!check_value(p, depth)) return false;
        char c = peek(p);
        if (c != ',' && c != close)
            return fail_here(p, is_list ? "expected ',' or ']'" : "expected ',' or '}'");
        p.next++;
        if (c == close) return true;
    }
}

bool check_container(json_parser_t &p, int depth, json_member_fn *visit, void *context) {
    if (depth >= JSON_CHECK_DEPTH_MAX) return fail_here(p, "nested too deeply");
    bool is_list = peek(p) == '[';
    p.next++;
    return check_rest(p, is_list, depth + 1, visit, context);
}

/* As parse_value, with the same grammar. */
bool check_value(json_parser_t &p, int depth) {
    value_t word;
    number_text_t number;
    char first = peek(p);
    switch (first) {
    case '"': return check_string(p);
    case '{':
    case '[': return check_container(p, depth, nullptr, nullptr);
    case 't': return parse_word(p, "true", value_null(), &word);
    case 'f': return parse_word(p, "false", value_null(), &word);
    case 'n': return parse_word(p, "null", value_null(), &word);
    case 'N': return parse_word(p, "NaN", value_null(), &word);
    case 'I': return parse_word(p, "Infinity", value_null(), &word);
    default:
        if (first == '-' && p.text[here(p) + 1] == 'I')
            return parse_word(p, "-Infinity", value_null(), &word);
        if (first != '-' && !is_digit(first)) return fail_here(p, "not a JSON value");
        if (!read_number(p, &number)) return false;
        p.next++;
        return true;
    }
}

/* ---- scratch memory */

bool set_capacity(json_parser_t &p, size_t len) {
    if (p.capacity && len <= p.capacity) return true;
    size_t capacity = CAPACITY_FIRST;
    while (capacity < len)
        capacity *= 2;
    if (capacity > simdjson::SIMDJSON_MAXSIZE_BYTES) capacity = simdjson::SIMDJSON_MAXSIZE_BYTES;
    p.tokenizer.reset();
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, p.tokenizer))
        return false;
    p.text.reset(new char[capacity + simdjson::SIMDJSON_PADDING]);
    p.string.reset(new char[capacity + simdjson::SIMDJSON_PADDING]);
    p.capacity = capacity;
    return true;
}

void trim_capacity(json_parser_t &p) {
    if (p.capacity <= CAPACITY_KEPT) return;
    p.tokenizer.reset();
    p.text.reset();
    p.string.reset();
    p.capacity = 0;
}

/* Copies the text and lists its tokens. */
bool begin_document(json_parser_t &p, const char *bytes, size_t len) {
    if (len > simdjson::SIMDJSON_MAXSIZE_BYTES || !set_capacity(p, len))
        return fail_at(p, 0, "text too long");
    p.len = len;
    p.next = p.count = 0;
    if (len) std::memcpy(p.text.get(), bytes, len);
    std::memset(p.text.get() + len, 0, simdjson::SIMDJSON_PADDING);
    auto *text = reinterpret_cast<const uint8_t *>(p.text.get());
    if (auto code = p.tokenizer->stage1(text, len, simdjson::stage1_mode::regular))
        return fail_stage(p, code);
    p.count = p.tokenizer->n_structural_indexes;
    return true;
}

/* Reads one value and nothing behind it. *out is null after an error. */
bool parse_document(json_parser_t &p, const char *bytes, size_t len, value_t *out) noexcept {
    if (!begin_document(p, bytes, len) || !parse_value(p, out, 0)) return false;
    if (p.next == p.count) return true;
    value_clear(out);
    return fail_here(p, "text behind the value");
}

bool check_document(json_parser_t &p, const char *bytes, size_t len, json_member_fn *visit,
                    void *context) noexcept {
    if (!begin_document(p, bytes, len)) return false;
    if (peek(p) != '{') return fail_at(p, here(p), "not an object");
    if (!check_container(p, 0, visit, context)) return false;
    return p.next == p.count || fail_here(p, "text behind the value");
}

json_parser &parser_of_thread() {
    static thread_local json_parser parser;
    return parser;
}

} // namespace

extern "C" {

json_parser_t *json_parser_new(void) {
    auto *parser = new (std::nothrow) json_parser;
    return parser ? parser : static_cast<json_parser_t *>(xmalloc(SIZE_MAX)); /* ends the process */
}

void json_parser_destroy(json_parser_t **parser) {
    delete *parser;
    *parser = nullptr;
}

int json_parse(json_parser_t *parser, const char *bytes, size_t len, value_t *out, err_t *err) {
    *out = value_null();
    parser->err = err;
    json_repairs_t before = repairs;
    bool ok = parse_document(*parser, bytes, len, out);
    if (!ok) {
        *out = value_null();
        repairs = before; /* the text is refused as a whole */
    }
    parser->err = nullptr;
    trim_capacity(*parser);
    return ok ? SDG_OK : SDG_EPARSE;
}

json_repairs_t json_repairs_so_far(void) { return repairs; }

json_repairs_t json_repairs_since(json_repairs_t before) {
    return {repairs.nulls - before.nulls, repairs.characters - before.characters};
}

int json_parse_text(const char *bytes, size_t len, value_t *out, err_t *err) {
    return json_parse(&parser_of_thread(), bytes, len, out, err);
}

int json_check_object(const char *bytes, size_t len, json_member_fn *visit, void *context, err_t *err) {
    json_parser &parser = parser_of_thread();
    json_repairs_t before = repairs;
    parser.err = err;
    bool ok = check_document(parser, bytes, len, visit, context);
    parser.err = nullptr;
    repairs = before; /* nothing was replaced: the text stays as it is */
    trim_capacity(parser);
    return ok ? SDG_OK : SDG_EPARSE;
}
}
