#include "tools/read/rust_symbol.h"

#include <cctype>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace memtrace {
namespace {

constexpr int kMaxDepth = 96;
constexpr size_t kMaxText = 8192;

// A recursive-descent parser of the grammar in Rust's RFC 2603. `failed_` is sticky.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  std::string Name() {
    Path(true);
    return failed_ ? std::string() : out_;
  }

 private:
  // Limits nesting, and the work that back-references could multiply.
  struct Nesting {
    explicit Nesting(Parser* p) : parser(p) {
      if (++parser->depth_ > kMaxDepth || ++parser->steps_ > 20000 ||
          parser->out_.size() > kMaxText) {
        parser->failed_ = true;
      }
    }
    ~Nesting() { --parser->depth_; }
    Parser* parser;
  };

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char Next() {
    if (at_ >= text_.size()) failed_ = true;
    return failed_ ? '\0' : text_[at_++];
  }
  bool Take(char c) {
    if (failed_ || Peek() != c) return false;
    ++at_;
    return true;
  }
  void Print(absl::string_view text) {
    if (!silent_) out_.append(text.data(), text.size());
  }

  // base-62-number: digits and "_"; a lone "_" is 0.
  uint64_t Base62() {
    if (Take('_')) return 0;
    uint64_t value = 0;
    while (!failed_) {
      const char c = Next();
      if (c == '_') return value + 1;
      int digit = -1;
      if (isdigit(static_cast<unsigned char>(c))) digit = c - '0';
      if (islower(static_cast<unsigned char>(c))) digit = c - 'a' + 10;
      if (isupper(static_cast<unsigned char>(c))) digit = c - 'A' + 36;
      if (digit < 0 || value > (UINT64_MAX - 63) / 62) failed_ = true;
      value = value * 62 + static_cast<uint64_t>(digit);
    }
    return 0;
  }

  uint64_t Disambiguator() { return Take('s') ? Base62() + 1 : 0; }

  // Identifiers with other letters than ASCII are in Punycode: shown as they are.
  std::string Identifier() {
    Take('u');
    if (!isdigit(static_cast<unsigned char>(Peek()))) failed_ = true;
    size_t length = 0;
    if (!Take('0')) {
      while (!failed_ && isdigit(static_cast<unsigned char>(Peek())) && length < kMaxText) {
        length = length * 10 + static_cast<size_t>(Next() - '0');
      }
    }
    Take('_');
    if (failed_ || length > text_.size() - at_) {
      failed_ = true;
      return "";
    }
    std::string name(text_.substr(at_, length));
    at_ += length;
    return name;
  }

  template <typename Production>
  void BackReference(Production production) {
    const uint64_t target = Base62();
    if (failed_ || target >= at_) {
      failed_ = true;
      return;
    }
    const size_t resume = at_;
    at_ = target;
    production();
    at_ = resume;
  }

  void Path(bool in_value) {
    Nesting nesting(this);
    if (failed_) return;
    switch (Next()) {
      case 'C':
        Disambiguator();
        Print(Identifier());
        break;
      case 'N':
        NestedPath(in_value);
        break;
      case 'M':
        ImplPath();
        Print("<");
        Type();
        Print(">");
        break;
      case 'X':
        ImplPath();
        [[fallthrough]];
      case 'Y':
        Print("<");
        Type();
        Print(" as ");
        Path(false);
        Print(">");
        break;
      case 'I':
        Path(in_value);
        Print(in_value ? "::<" : "<");
        List([this] { GenericArgument(); });
        Print(">");
        break;
      case 'B':
        BackReference([this, in_value] { Path(in_value); });
        break;
      default:
        failed_ = true;
    }
  }

  void NestedPath(bool in_value) {
    const char space = Next();
    Path(in_value);
    const uint64_t number = Disambiguator();
    const std::string name = Identifier();
    if (isupper(static_cast<unsigned char>(space))) {
      const absl::string_view kind = space == 'C'   ? "closure"
                                     : space == 'S' ? "shim"
                                                    : absl::string_view(&space, 1);
      Print(absl::StrCat("::{", kind, name.empty() ? "" : ":", name, "#", number, "}"));
    } else if (!name.empty()) {
      Print(absl::StrCat("::", name));
    }
  }

  // The path of the block an impl is in: read, not shown.
  void ImplPath() {
    Disambiguator();
    const bool was_silent = silent_;
    silent_ = true;
    Path(false);
    silent_ = was_silent;
  }

  template <typename Production>
  int List(Production production) {
    int count = 0;
    while (!failed_ && !Take('E')) {
      if (count++ > 0) Print(", ");
      production();
    }
    return count;
  }

  void GenericArgument() {
    if (Take('L')) {
      Base62();
      Print("'_");
    } else if (Take('K')) {
      Constant();
    } else {
      Type();
    }
  }

  void Constant() {
    if (Take('p')) return Print("_");
    if (Take('B')) return BackReference([this] { Constant(); });
    const char type = Next();
    if (Take('n')) Print("-");
    std::string digits;
    while (!failed_ && !Take('_')) digits.push_back(Next());
    if (digits.empty()) digits = "0";
    uint64_t value = 0;
    if (!absl::SimpleHexAtoi(digits, &value)) return Print(absl::StrCat("0x", digits));
    if (type == 'b') return Print(value != 0 ? "true" : "false");
    if (type == 'c') return Print(Character(value));
    Print(absl::StrCat(value));
  }

  static std::string Character(uint64_t value) {
    if (value >= 0x20 && value < 0x7f && value != '\'' && value != '\\') {
      return absl::StrCat("'", std::string(1, static_cast<char>(value)), "'");
    }
    return absl::StrCat("'\\u{", absl::Hex(value), "}'");
  }

  static absl::string_view BasicType(char c) {
    switch (c) {
      case 'a':
        return "i8";
      case 'b':
        return "bool";
      case 'c':
        return "char";
      case 'd':
        return "f64";
      case 'e':
        return "str";
      case 'f':
        return "f32";
      case 'h':
        return "u8";
      case 'i':
        return "isize";
      case 'j':
        return "usize";
      case 'l':
        return "i32";
      case 'm':
        return "u32";
      case 'n':
        return "i128";
      case 'o':
        return "u128";
      case 's':
        return "i16";
      case 't':
        return "u16";
      case 'u':
        return "()";
      case 'v':
        return "...";
      case 'x':
        return "i64";
      case 'y':
        return "u64";
      case 'z':
        return "!";
      case 'p':
        return "_";
      default:
        return "";
    }
  }

  void Type() {
    Nesting nesting(this);
    if (failed_) return;
    const char c = Peek();
    if (const absl::string_view basic = BasicType(c); !basic.empty()) {
      ++at_;
      return Print(basic);
    }
    switch (c) {
      case 'R':
      case 'Q':
        ++at_;
        if (Take('L')) Base62();
        Print(c == 'R' ? "&" : "&mut ");
        return Type();
      case 'P':
      case 'O':
        ++at_;
        Print(c == 'P' ? "*const " : "*mut ");
        return Type();
      case 'A':
      case 'S':
        ++at_;
        Print("[");
        Type();
        if (c == 'A') {
          Print("; ");
          Constant();
        }
        return Print("]");
      case 'T': {
        ++at_;
        Print("(");
        if (List([this] { Type(); }) == 1) Print(",");
        return Print(")");
      }
      case 'F':
        ++at_;
        return FunctionType();
      case 'D':
        ++at_;
        return DynType();
      case 'B':
        ++at_;
        return BackReference([this] { Type(); });
      default:
        return Path(false);
    }
  }

  void FunctionType() {
    if (Take('G')) Base62();
    if (Take('U')) Print("unsafe ");
    if (Take('K')) {
      if (Take('C')) {
        Print("extern \"C\" ");
      } else {
        Print(absl::StrCat("extern \"", Identifier(), "\" "));
      }
    }
    Print("fn(");
    List([this] { Type(); });
    Print(")");
    if (Take('u')) return;
    Print(" -> ");
    Type();
  }

  void DynType() {
    Print("dyn ");
    if (Take('G')) Base62();
    int count = 0;
    while (!failed_ && !Take('E')) {
      if (count++ > 0) Print(" + ");
      Path(false);
      AssociatedTypes();
    }
    if (!Take('L')) failed_ = true;
    Base62();
  }

  // Of a trait, among its generic arguments: dyn FnOnce<(), Output = u8>.
  void AssociatedTypes() {
    if (Peek() != 'p') return;
    const bool open = !silent_ && !out_.empty() && out_.back() == '>';
    if (open) out_.pop_back();
    for (bool first = !open; !failed_ && Take('p'); first = false) {
      Print(absl::StrCat(first ? "<" : ", ", Identifier(), " = "));
      Type();
    }
    Print(">");
  }

  const absl::string_view text_;
  size_t at_ = 0;
  std::string out_;
  int depth_ = 0;
  int steps_ = 0;
  bool silent_ = false;
  bool failed_ = false;
};

}  // namespace

std::string DemangleRustV0(absl::string_view symbol) {
  if (symbol.size() < 3 || symbol.substr(0, 2) != "_R") return "";
  absl::string_view text = symbol.substr(2);
  text = text.substr(0, text.find('.'));  // what the compiler appended: ".llvm.123"
  return Parser(text).Name();
}

}  // namespace memtrace
