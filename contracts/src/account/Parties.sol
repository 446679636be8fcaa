// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "./AccountBase.sol";

/// @title Who is who to an account
/// @notice Owner, customer and guardian, and how each is written down. Who may change them is for `Exits` and
/// `AccountControl`.
abstract contract Parties is AccountBase {
    /// @notice The owner changed.
    /// @param previousOwner Owner before.
    /// @param newOwner Owner from now on.
    event OwnerChanged(address indexed previousOwner, address indexed newOwner);

    /// @notice The customer's own key was enrolled, or replaced by itself or by a recovery.
    /// @param customer The key's address or name.
    event CustomerEnrolled(address indexed customer);

    /// @notice The guardian changed.
    /// @param guardian Guardian from now on, or zero.
    event GuardianChanged(address indexed guardian);

    /// @notice Owner zero would lock the account for ever.
    error OwnerIsZero();

    /// @notice The customer's enrolled key, or zero.
    function customer() external view returns (address) {
        return _accountStorage().customer;
    }

    /// @notice The guardian, or zero.
    function guardian() external view returns (address) {
        return _accountStorage().guardian;
    }

    /// @notice Whether the owner is a key that the customer holds.
    function isSelfCustodied() external view returns (bool) {
        return !_isCustodial();
    }

    function _isCustodial() internal view returns (bool) {
        return SELF_CUSTODY != address(0);
    }

    function _enrolCustomer(address newCustomer) internal {
        _accountStorage().customer = newCustomer;
        emit CustomerEnrolled(newCustomer);
    }

    function _setGuardian(address newGuardian) internal {
        AccountStorage storage stored = _accountStorage();
        stored.guardian = newGuardian;
        stored.guardianSince = block.timestamp;
        // An announced exit keeps the guardian of that time or none.
        stored.exit.keepsGuardian = false;
        emit GuardianChanged(newGuardian);
    }

    function _changeOwner(address newOwner) internal {
        if (newOwner == address(0)) revert OwnerIsZero();
        emit OwnerChanged(owner(), newOwner);
        _accountStorage().owner = newOwner;
    }
}
