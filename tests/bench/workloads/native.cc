// Allocation-heavy C++: trees of unique_ptr, a map of vectors, short-lived strings, recursion.

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Tree {
  std::unique_ptr<Tree> left, right;
  std::string name;
};

static std::unique_ptr<Tree> MakeTree(int depth) {
  if (depth == 0) return nullptr;
  auto tree = std::make_unique<Tree>();
  tree->name = std::string(20 + depth, 'x');
  tree->left = MakeTree(depth - 1);
  tree->right = MakeTree(depth - 1);
  return tree;
}

int main() {
  size_t n = 0;
  for (int k = 0; k < 20; k++) n += MakeTree(17)->name.size();
  std::map<std::string, std::vector<int>> lists;
  for (int i = 0; i < 300000; i++) {
    lists["key" + std::to_string(i % 5000) + "________________"].push_back(i);
  }
  for (int i = 0; i < 10000000; i++) {
    std::string s(32 + i % 64, 'a');
    n += s.size();
  }
  printf("%zu %zu\n", n, lists.size());
}
