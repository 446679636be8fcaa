// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The one word that an account keeps per session
/// @notice From the high end: spent in all (96 bits), spent in the period (96), period (24), lane sequence (32),
/// flags (8). Both payment paths read and write this word, so a limit can't be used twice by using both. A session for
/// calls has the same flags and, above them, how many calls it has made.
library SessionStates {
    uint256 internal constant INSTALLED = 1;
    uint256 internal constant REVOKED = 2;
    uint256 internal constant FROZEN = 4;

    /// @dev Stopped by the guardian, until a time that is kept elsewhere and read only while this flag stands.
    uint256 internal constant HELD = 8;

    /// @notice Base units of the bill token spent over the session's life, fees included.
    function spentTotal(uint256 state) internal pure returns (uint256) {
        return state >> 160;
    }

    /// @notice Base units of the bill token spent in the period that `period` names, fees included.
    function spentInPeriod(uint256 state) internal pure returns (uint256) {
        return (state >> 64) & type(uint96).max;
    }

    /// @notice Period of the last payment, counted from the session's start.
    function period(uint256 state) internal pure returns (uint256) {
        return (state >> 40) & type(uint24).max;
    }

    /// @notice Sequence that the next bill-lane payment must carry.
    function laneSequence(uint256 state) internal pure returns (uint256) {
        return (state >> 8) & type(uint32).max;
    }

    /// @notice What holds for the session: any of INSTALLED, REVOKED, FROZEN, HELD.
    function flags(uint256 state) internal pure returns (uint256) {
        return state & 0xff;
    }

    /// @notice The word with the lane's sequence moved on by one.
    function nextInLane(uint256 state) internal pure returns (uint256) {
        return state + (1 << 8);
    }

    /// @notice Calls that a session for calls has made.
    function calls(uint256 state) internal pure returns (uint256) {
        return state >> 8;
    }

    /// @notice The word of a session for calls after one call more.
    function afterCall(uint256 state) internal pure returns (uint256) {
        return state + (1 << 8);
    }

    /// @notice Whether the session is installed and neither revoked, frozen nor held.
    function isLive(uint256 state) internal pure returns (bool) {
        return state & 0xff == INSTALLED;
    }

    /// @notice The word after a payment; amounts must already be within 96 bits.
    function spend(uint256 state, uint256 newTotal, uint256 newInPeriod, uint256 newPeriod)
        internal
        pure
        returns (uint256)
    {
        return (newTotal << 160) | (newInPeriod << 64) | (newPeriod << 40) | (state & type(uint40).max);
    }
}
