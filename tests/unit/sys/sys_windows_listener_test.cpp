// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/sys/local_socket.hpp>
#include <ringbell/sys/service_path.hpp>

#include "support/process.hpp"
#include "support/windows_objects.hpp"
#include "sys/windows/service_pipe.hpp"

#include <doctest/doctest.h>

#include <aclapi.h>
#include <sddl.h>

#include <ostream>
#include <string>
#include <thread>
#include <vector>

TEST_SUITE("sys_windows_listener") {

using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

local_listener listen_on(const std::string& path, bool for_all_users = false) {
  std::error_code error;
  local_listener made = local_listener::bind(path, for_all_users, error);
  REQUIRE_FALSE(error);
  return made;
}

local_socket connect_to(const std::string& path) {
  std::error_code error;
  local_socket made = local_socket::connect(path, error);
  REQUIRE_FALSE(error);
  return made;
}

// Waits for the next client.
local_socket accept_from(local_listener& listener) {
  for (;;) {
    std::error_code error;
    local_socket accepted = listener.accept(error);
    if (!error) return accepted;
    REQUIRE(error == errc::would_block);
    REQUIRE(signalled(listener.native()));
  }
}

bool say_hello(local_socket& from, local_socket& to) {
  const std::array hello{std::byte{'h'}};
  std::array<std::byte, 8> buffer;
  received_handles handles;
  if (!from.send(hello) || !signalled(to.native())) return false;
  const auto got = to.receive(buffer, handles);
  return got && *got == 1 && buffer[0] == hello[0];
}

std::error_code bind_error(const std::string& path) {
  std::error_code error;
  local_listener::bind(path, false, error);
  return error;
}

std::error_code connect_error(const std::string& path) {
  std::error_code error;
  (void)local_socket::connect(path, error);
  return error;
}

// The pipe's list of rights, as text.
std::string rights_of_pipe(const std::string& path) {
  const handle client = open_raw_pipe(path);
  PSECURITY_DESCRIPTOR all = nullptr;
  REQUIRE(::GetSecurityInfo(client.get(), SE_KERNEL_OBJECT,
                            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, nullptr,
                            nullptr, nullptr, nullptr, &all) == ERROR_SUCCESS);
  LPSTR text = nullptr;
  REQUIRE(::ConvertSecurityDescriptorToStringSecurityDescriptorA(
      all, SDDL_REVISION_1, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &text,
      nullptr));
  std::string made(text);
  ::LocalFree(text);
  ::LocalFree(all);
  return made;
}

}  // namespace

TEST_CASE("a client connects and the listener accepts it") {
  const std::string path = unique_pipe_path();
  local_listener listener = listen_on(path);
  CHECK(listener.path() == path);
  std::error_code error;
  CHECK_FALSE(listener.accept(error));
  CHECK(error == errc::would_block);
  CHECK_FALSE(is_signalled(listener.native()));
  local_socket client = connect_to(path);
  CHECK(signalled(listener.native()));
  local_socket server = accept_from(listener);
  CHECK(say_hello(client, server));
  CHECK(say_hello(server, client));
}

TEST_CASE("each side learns from the kernel who the other is") {
  const std::string path = unique_pipe_path();
  local_listener listener = listen_on(path);
  const local_socket client = connect_to(path);
  const local_socket server = accept_from(listener);
  for (const local_socket* end : {&client, &server}) {
    const peer_identity who = end->peer().value();
    CHECK(static_cast<std::uint64_t>(who.process) == current_process());
    CHECK(who.user == current_user());
    CHECK(who.group == 0);
  }
}

TEST_CASE(
    "all clients are accepted, each by an end of its own, and when no instance waits the next is told to come again") {
  const std::string path = unique_pipe_path();
  local_listener listener = listen_on(path);
  for (int round = 0; round < 5; ++round) {
    std::vector<local_socket> clients;
    std::vector<local_socket> servers;
    for (int i = 0; i < 8; ++i) clients.push_back(connect_to(path));
    CHECK(connect_error(path) == errc::would_block);
    for (local_socket& client : clients) {
      servers.push_back(accept_from(listener));
      CHECK_FALSE(client.drain());
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::array number{static_cast<std::byte>(i)};
      REQUIRE(clients[i].send(number));
    }
    for (local_socket& server : servers) {
      std::array<std::byte, 8> buffer;
      received_handles handles;
      REQUIRE(signalled(server.native()));
      REQUIRE(server.receive(buffer, handles).value() == 1);
      CHECK(say_hello(server, clients.at(static_cast<std::size_t>(buffer[0]))));
    }
  }
}

TEST_CASE("a client that has gone before it was accepted is accepted, and has hung up") {
  const std::string path = unique_pipe_path();
  local_listener listener = listen_on(path);
  for (int i = 0; i < 20; ++i) {
    connect_to(path) = local_socket();
    std::error_code error;
    local_socket gone = listener.accept(error);
    while (error == errc::would_block && signalled(listener.native()))
      gone = listener.accept(error);
    REQUIRE_FALSE(error);
    CHECK(gone.drain());
  }
  local_socket client = connect_to(path);
  local_socket server = accept_from(listener);
  CHECK(say_hello(client, server));
}

TEST_CASE("a listener goes on when the thread that made it has ended") {
  const std::string path = unique_pipe_path();
  local_listener listener;
  std::thread([&] { listener = listen_on(path); }).join();
  std::error_code error;
  CHECK_FALSE(listener.accept(error));
  CHECK(error == errc::would_block);
  local_socket client = connect_to(path);
  local_socket server = accept_from(listener);
  CHECK(say_hello(client, server));
}

TEST_CASE("connecting where nobody listens is no_server") {
  CHECK(connect_error(unique_pipe_path()) == errc::no_server);
  const std::string path = unique_pipe_path();
  listen_on(path) = local_listener();
  CHECK(connect_error(path) == errc::no_server);
}

TEST_CASE("what is no pipe of this machine is bad_name, and is not opened") {
  const std::string program = R"(C:\windows\system32\ntdll.dll)";
  for (const std::string& path :
       {std::string(), std::string("name"), program, std::string(R"(\\other\pipe\name)"),
        std::string(R"(\\.\pipe\)"), std::string(R"(\\.\pipe\a\b)"),
        std::string(R"(\\.\PHYSICALDRIVE0)"), std::string(R"(\\.\pipe\../PHYSICALDRIVE0)"),
        R"(\\.\pipe\)" + std::string(250, 'x'), R"(\\.\pipe\a)" + std::string(1, '\0'),
        std::string("\\\\.\\pipe\\\xff")}) {
    CAPTURE(path);
    CHECK(connect_error(path) == errc::bad_name);
    CHECK(bind_error(path) == errc::bad_name);
  }
}

TEST_CASE("a live server's name is in use, and free again when it is dropped") {
  const std::string path = unique_pipe_path();
  {
    const local_listener listener = listen_on(path);
    CHECK(bind_error(path) == errc::name_in_use);
  }
  const local_listener again = listen_on(path);
  CHECK(again.native() != invalid_handle);
}

TEST_CASE("the kernel lets nobody else be the first of a pipe") {
  if (under_wine()) {
    MESSAGE("skipped: Wine does not enforce FILE_FLAG_FIRST_PIPE_INSTANCE");
    return;
  }
  const std::string path = unique_pipe_path();
  const local_listener listener = listen_on(path);
  const handle second = owned_file(::CreateNamedPipeA(
      path.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, 0, 255, 0, 0, 0, nullptr));
  CHECK_FALSE(second);
}

TEST_CASE("a moved listener keeps its name, and gives up the one it had") {
  const std::string first = unique_pipe_path();
  const std::string second = unique_pipe_path();
  local_listener listener = listen_on(first);
  listener = listen_on(second);
  CHECK(listener.path() == second);
  CHECK(connect_error(first) == errc::no_server);
  CHECK_FALSE(connect_error(second));
}

TEST_CASE("a listener leaves no handle behind") {
  const auto serve = [] {
    const std::string path = unique_pipe_path();
    local_listener listener = listen_on(path);
    const local_socket client = connect_to(path);
    const local_socket server = accept_from(listener);
    CHECK(server.peer());
  };
  serve();
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) serve();
  CHECK(open_descriptors() == before);
}

TEST_CASE("a pipe is its user's, and others may connect only if that was asked for") {
  const std::string user = text_of(current_user());
  const std::string own = unique_pipe_path();
  const local_listener for_one = listen_on(own);
  const std::string rights = rights_of_pipe(own);
  CAPTURE(rights);
  CHECK(rights.find("O:" + user) != rights.npos);
  CHECK(rights.find(user + ')') != rights.npos);
  CHECK(rights.find("AU)") == rights.npos);
  const std::string open = unique_pipe_path();
  const local_listener for_all = listen_on(open, true);
  CHECK(rights_of_pipe(open).find("AU)") != std::string::npos);
}

TEST_CASE("a service's path says whose it is; only that user is believed to serve there") {
  const std::string path = service_path("name").value();
  CHECK(path == R"(\\.\pipe\ringbell-)" + text_of(current_user()) + "-name");
  CHECK(names_a_user(path));
  CHECK(names_user(path, current_user()));
  CHECK_FALSE(names_user(path, user_id()));

  local_listener own = listen_on(path);
  CHECK_FALSE(connect_error(path));
  // This user, where another one is expected.
  const std::string others = R"(\\.\pipe\ringbell-S-1-5-21-1-2-3-4711-name)";
  const local_listener squatter = listen_on(others);
  CHECK(connect_error(others) == errc::unsafe_directory);
}

TEST_CASE("a name of other characters, or of none, or too many, is bad_name") {
  CHECK(service_path("a.B_9-").has_value());
  CHECK(service_path(std::string(64, 'x')).has_value());
  for (const std::string& name :
       {std::string(), std::string(65, 'x'), std::string(".x"), std::string("x.lock"),
        std::string("a b"), std::string("a/b"), std::string("a\\b"), std::string("\xc3\xa4"),
        std::string(1, '\0')}) {
    CAPTURE(name);
    CHECK(service_path(name).error() == errc::bad_name);
    CHECK(prepare_service_folder(name) == errc::bad_name);
  }
  CHECK(service_path(R"(\\.\pipe\some)").value() == R"(\\.\pipe\some)");
  CHECK(service_path(R"(\\.\pipe\some\thing)").error() == errc::bad_name);
  CHECK_FALSE(prepare_service_folder("name"));
}

TEST_CASE("users have a name and a number, and one of them is the system") {
  const user_id user = current_user();
  CHECK(user == current_user());
  CHECK(user != user_id());
  const std::string text = text_of(user);
  CHECK(text.substr(text.rfind('-') + 1) == std::to_string(number_of(user)));
  CHECK_FALSE(is_superuser(user_id()));
  CHECK(text_of(user_id()).empty());
  CHECK(number_of(user_id()) == 0);
}

}  // TEST_SUITE("sys_windows_listener")
