// SPDX-License-Identifier: BSL-1.0
// What <windows.h> and its companions make of words, beside many names in capitals. The standard
// library's headers come first: they do not bear min and max either, and mingw's say so by
// NOMINMAX.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define interface struct
#define small char
#define hyper long long
#define near
#define far
#define pascal
#define cdecl
#define IN
#define OUT
#define OPTIONAL
#define ERROR 0
#define NO_ERROR 0
#define DELETE 1
#define CONST const
#define VOID void
#define TRUE 1
#define FALSE 0
#define STRICT 1
#define Yield()
#define CreateEvent CreateEventW
#define CreateFile CreateFileW
#define GetMessage GetMessageW
#define GetObject GetObjectW
#define SendMessage SendMessageW
