// Reads a .wts file of hexadecimal words as programs do that build networks by hand, and prints a line for each tensor:
// name, count, words.

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
    std::ifstream in(argc > 1 ? argv[1] : "");
    int tensors = 0;
    if (!(in >> tensors)) return 1;
    for (; tensors > 0; --tensors) {
        std::string name;
        std::uint32_t count = 0;
        if (!(in >> name >> std::dec >> count)) return 1;
        std::cout << name << ' ' << std::dec << count << std::hex;
        for (std::uint32_t word; count > 0; --count) {
            if (!(in >> std::hex >> word)) return 1;
            std::cout << ' ' << word;
        }
        std::cout << '\n';
    }
}
