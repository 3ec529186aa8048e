// SPDX-License-Identifier: BSL-1.0
#include <ringbell/asio/impl/src.hpp>
