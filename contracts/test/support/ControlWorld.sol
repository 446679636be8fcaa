// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "../../src/account/AccountBase.sol";
import {Policies} from "./Policies.sol";
import {World} from "./World.sol";

/// @dev An account in custody with a customer's key and a guardian.
abstract contract ControlWorld is World {
    address internal constant NEXT = address(0x4E87);
    address internal constant CUSTOMER = address(0xC057);
    address internal constant GUARDIAN = address(0x60A4D);
    uint256 internal constant PHONE = 0x9407E;

    function setUp() public virtual override {
        super.setUp();
        open();
        asOwner();
        control.enrolCustomer(CUSTOMER);
        asOwner();
        control.setGuardian(GUARDIAN);
    }

    function one() internal view returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = Policies.id(packed());
    }

    function refused(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, caller));
        vm.prank(caller);
    }

    function pay(uint256 amount) internal {
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, amount, 0, false);
    }
}
