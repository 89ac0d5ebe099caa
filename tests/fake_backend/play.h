// Acts a behaviour out. On the loop's thread.
#pragma once

#include "fake_backend/backend.h"
#include "fake_backend/behaviour.h"

namespace muster::fake {

void play(FakeBackend& backend, const Behaviour& behaviour, const OutgoingOperation& operation);
// The same operation was sent again, to a new incarnation: those that came back for it ack, the
// others do what they did.
void play_again(FakeBackend& backend, const Behaviour& behaviour,
                const OutgoingOperation& operation);

}  // namespace muster::fake
